// Opened from the disk, a browser refuses the search page's look into other pages: titles must do.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
