"""The helpers beside PyHessian, curvlinops and hessian-eigenthings: `make bench`."""
