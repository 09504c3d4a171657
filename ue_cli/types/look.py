"""How visible a perturbation may be: the second bound beside the L∞ ball."""

from __future__ import annotations

from dataclasses import dataclass

from ue_cli.errors import UeError


@dataclass(frozen=True, slots=True)
class Look:
    """A bound on what a viewer sees.

    Attributes:
        name: as ``--look`` has it.
        jod: the least predicted quality of a protected photo in JOD (just objectionable
            differences below 10; ColorVideoVDP, Mantiuk et al., SIGGRAPH 2024); None: the L∞ ball
            alone bounds it.
    """

    name: str
    jod: float | None

    @classmethod
    def parse(cls, text: str) -> Look:
        """The look with this name.

        Raises:
            UeError: ``look-unknown``, with the names there are.
        """
        for look in LOOKS:
            if look.name == text.strip().lower():
                return look
        names = ", ".join(look.name for look in LOOKS)
        raise UeError(
            "look-unknown",
            f"--look expects one of {names}, got {text!r}.",
            "Leave it out for standard.",
        )


SUBTLE = Look("subtle", 9.75)
STANDARD = Look("standard", 9.5)
STRONG = Look("strong", None)
LOOKS = (SUBTLE, STANDARD, STRONG)
