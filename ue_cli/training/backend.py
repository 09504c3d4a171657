"""torch, where a command needs it: which device, and one sentence where it is broken."""

from __future__ import annotations

from ue_cli.errors import ExitCode, UeError


def resolve_device(name: str) -> str:
    """The device that ``--device`` means: CUDA, else MPS, else the CPU for ``auto``.

    Raises:
        UeError: torch cannot be imported, or has no such device.
    """
    try:
        import torch
    except (ImportError, OSError, RuntimeError) as error:
        raise UeError(
            "torch-broken",
            f"PyTorch is installed but cannot be imported ({str(error).splitlines()[0]}).",
            "torch and torchvision must be builds of one kind: "
            "pip install --force-reinstall torch torchvision",
            exit_code=ExitCode.USAGE,
        ) from None
    usable = ["cpu"]
    if torch.backends.mps.is_available():
        usable.insert(0, "mps")
    if torch.cuda.is_available():
        usable.insert(0, "cuda")
    if name == "auto":
        return usable[0]
    if name not in usable:
        raise UeError(
            "device",
            f"--device {name} is not to be had here; usable: auto, {', '.join(usable)}.",
            "Leave --device out to take the fastest one.",
        )
    return name
