"""One array out of a ``.pt``, ``.npy`` or ``.npz`` file of unknown origin, read without pickle."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import ExitCode, UeError

TORCH_SUFFIXES = (".pt", ".pth")
SUFFIXES = (*TORCH_SUFFIXES, ".npy", ".npz")

MOST_VALUES = 1 << 30
"""In one array; TUE's 50,000 perturbations of 32×32 pixels have 1.5e8."""


def read_array(path: Path) -> tuple[NDArray[Any], str]:
    """The only array of four dimensions in a file, and the name of the file's format.

    Raises:
        UeError: with exit code 4: the file is missing, damaged, of another type, holds objects
            that only a pickle that runs code could make, or has none or several such arrays.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise unusable(
            path,
            f"its name should end in {', '.join(SUFFIXES)} or .safetensors, and "
            + (f"ends in {suffix}" if suffix else "has no such ending"),
            "Give a perturbation in one of these formats.",
        )
    try:
        arrays = _torch(path) if suffix in TORCH_SUFFIXES else _numpy(path)
    except UeError:
        raise
    except OSError as error:
        raise unusable(path, f"it cannot be read ({error.strerror or error})") from None
    except UnpicklingError:
        raise _unsafe(path, "tensors") from None
    except Exception as error:  # which errors damaged bytes raise in these parsers is not fixed
        if "allow_pickle" in str(error):
            raise _unsafe(path, "arrays of numbers") from None
        raise unusable(path, f"it is damaged or not whole ({type(error).__name__})") from error
    perturbations = [array for array in arrays.values() if array.ndim == 4]
    if len(perturbations) != 1:
        shapes = ", ".join(str(array.shape) for array in list(arrays.values())[:5])
        raise unusable(
            path,
            "one array of shape (rows, 3, height, width) was expected, and it holds "
            + (shapes or "none"),
        )
    return perturbations[0], "PyTorch" if suffix in TORCH_SUFFIXES else "NumPy"


def unusable(path: Path, why: str, hint: str = "Get the file again from where it came.") -> UeError:
    """The refusal of a file as a perturbation."""
    return UeError(
        "perturbation-unreadable",
        f"{path.name} cannot be used as a perturbation: {why}.",
        hint,
        exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
    )


def _unsafe(path: Path, only: str) -> UeError:
    return UeError(
        "perturbation-unsafe",
        f"{path.name} cannot be used as a perturbation: it should hold {only} alone, but holds "
        "Python objects, which can run code, or is damaged; nothing in it was run.",
        "Ask its author for the bare numbers, as .npy or .safetensors.",
        exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
    )


def _torch(path: Path) -> Mapping[str, NDArray[Any]]:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old ways to pickle, which only the author can change
        with path.open("rb") as file:
            content = torch.load(file, map_location="cpu", weights_only=True)
    named = content if isinstance(content, dict) else {"": content}
    tensors = {
        str(name): tensor for name, tensor in named.items() if isinstance(tensor, torch.Tensor)
    }
    return {
        name: (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).detach().numpy()
        for name, tensor in tensors.items()
    }


def _numpy(path: Path) -> Mapping[str, NDArray[Any]]:
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > 8 * MOST_VALUES:
                raise unusable(path, f"it would unpack to {size:,} bytes")
        file.seek(0)
        content = np.load(file, allow_pickle=False)
        return dict(content) if isinstance(content, np.lib.npyio.NpzFile) else {"": content}
