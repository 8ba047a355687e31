"""Networks that other people wrote: twenty of torchvision, ten of timm, six of transformers.

Each entry makes a module, random weights, and a small input. Nothing is downloaded.
"""

import torch

PIXELS = 64  # a side that most of the convolutional ones take
MORE = 128  # where the last layers would see a few places only, and hardly be felt


def image(side=PIXELS, batch=2):
    return torch.randn(batch, 3, side, side, dtype=torch.float64)


def of_torchvision(name, side=PIXELS, **more):
    def make():
        from torchvision import models

        return getattr(models, name)(weights=None, num_classes=10, **more), image(side)

    return make


def small_transformer():
    from torchvision import models

    sizes = dict(image_size=32, patch_size=8, num_layers=4, num_heads=4)
    return models.VisionTransformer(**sizes, hidden_dim=64, mlp_dim=96, num_classes=10), image(32)


def of_timm(name, side=PIXELS, **more):
    def make():
        import timm

        return timm.create_model(name, pretrained=False, num_classes=10, **more), image(side)

    return make


SMALL = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    vocab_size=50,
    max_position_embeddings=16,
)


def of_transformers(kind, config, **more):
    """`kind` is the model's class, `more` its configuration."""

    def make():
        import transformers

        transformers.logging.set_verbosity_error()  # tokens that this tiny vocabulary lacks
        settings = getattr(transformers, config)(**more)
        settings.use_cache = False  # a cache of keys and values is no prediction
        module = getattr(transformers, kind)(settings)
        if kind.startswith("ViT"):
            return module, {"pixel_values": image(16)}
        tokens = torch.randint(1, 50, (2, 7))
        return module, {"input_ids": tokens} | (
            {"decoder_input_ids": tokens[:, :5]} if kind.startswith("T5") else {}
        )

    return make


CONVOLUTIONAL = [
    *("alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "squeezenet1_1"),
    *("densenet121", "shufflenet_v2_x0_5", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5"),
    *("efficientnet_b0", "efficientnet_v2_s", "convnext_tiny"),
]
ZOO = {
    **{f"torchvision {name}": of_torchvision(name) for name in CONVOLUTIONAL},
    "torchvision regnet_y_400mf": of_torchvision("regnet_y_400mf", MORE),
    "torchvision googlenet": of_torchvision("googlenet", aux_logits=False, init_weights=False),
    "torchvision inception_v3": of_torchvision(
        "inception_v3", MORE, aux_logits=False, init_weights=False
    ),
    "torchvision swin_t": of_torchvision("swin_t"),
    "torchvision swin_v2_t": of_torchvision("swin_v2_t"),
    "torchvision VisionTransformer": small_transformer,
    "timm deit_tiny": of_timm("deit_tiny_patch16_224", 32, img_size=32),
    "timm eva02_tiny": of_timm("eva02_tiny_patch14_224", 28, img_size=28),
    "timm mixer_s32": of_timm("mixer_s32_224", img_size=64),
    "timm resmlp_12": of_timm("resmlp_12_224", 32, img_size=32),
    "timm gmlp_ti16": of_timm("gmlp_ti16_224", 32, img_size=32),
    "timm convnextv2_atto": of_timm("convnextv2_atto"),
    "timm poolformer_s12": of_timm("poolformer_s12", MORE),
    "timm ghostnet_100": of_timm("ghostnet_100"),
    "timm repvgg_a0": of_timm("repvgg_a0"),
    "timm nf_resnet26": of_timm("nf_resnet26"),
    "transformers GPT-2": of_transformers(
        "GPT2LMHeadModel",
        "GPT2Config",
        n_embd=32,
        n_layer=2,
        n_head=4,
        vocab_size=50,
        n_positions=16,
    ),
    "transformers Llama": of_transformers(
        "LlamaForCausalLM", "LlamaConfig", **SMALL, num_key_value_heads=2
    ),
    "transformers Qwen3": of_transformers(
        "Qwen3ForCausalLM", "Qwen3Config", **SMALL, num_key_value_heads=2, head_dim=8
    ),
    "transformers BERT": of_transformers("BertForMaskedLM", "BertConfig", **SMALL),
    "transformers ViT": of_transformers(
        "ViTForImageClassification",
        "ViTConfig",
        image_size=16,
        patch_size=4,
        **{k: v for k, v in SMALL.items() if k not in ("vocab_size", "max_position_embeddings")},
    ),
    "transformers T5": of_transformers(
        "T5ForConditionalGeneration",
        "T5Config",
        **dict(d_model=32, d_ff=48, d_kv=8, num_layers=2, num_heads=4, vocab_size=50),
    ),
}


def settle(module, x):
    """Give a module numbers of which none is special, and statistics that fit its activations.

    Fresh networks have biases of 0, heads of 0 and layer scales of 1e-6: on such, a wrong factor
    would not be seen.
    """
    with torch.no_grad():
        for name, p in module.named_parameters():
            noise = torch.randn_like(p)
            if p.numel() == max(p.shape, default=1):
                p.copy_(0.2 * noise + (0 if "bias" in name else 1))
            else:
                p.copy_(noise * (2 * p.shape[0] / p.numel()) ** 0.5)
        norms = [m for m in module.modules() if getattr(m, "running_mean", None) is not None]
        for norm in norms:
            norm.momentum, norm.training = 1.0, True
        if norms:
            run(module, module.state_dict(), x)
        for norm in norms:
            norm.momentum, norm.training = 0.1, False


def another(x):
    """An input like x: other pixels, or the tokens in another order."""
    if isinstance(x, dict):
        return {name: another(part) for name, part in x.items()}
    return torch.randn_like(x) if x.is_floating_point() else x.flip(-1).roll(1, 0)


def run(module, params, x):
    """Every tensor that the module returns for x."""
    args, named = ((), x) if isinstance(x, dict) else ((x,), {})
    with torch.no_grad():
        output = torch.func.functional_call(module, params, args, named)
    output = output.to_tuple() if hasattr(output, "to_tuple") else output
    parts = output if isinstance(output, (tuple, list)) else [output]
    return [part for part in parts if isinstance(part, torch.Tensor)]
