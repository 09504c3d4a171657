"""The nouns: frozen values that every layer speaks in. Nothing here needs torch or Pillow."""

from ue_cli.types.arrays import (
    PENDING,
    FloatArray,
    OnStep,
    Phases,
    PixelArray,
    Watch,
    without_alpha,
)
from ue_cli.types.budget import Budget
from ue_cli.types.certificates import BudgetCertificate, Difference, Fidelity, FidelitySummary
from ue_cli.types.detectability import Detectability, Separability
from ue_cli.types.effect import EffectCell, EffectReport, EffectVerdict, Encoding, Training
from ue_cli.types.learnability import (
    CertifyReport,
    EtaBound,
    LearnabilityCertificate,
    NoisyCounts,
    RecoveryCheck,
    RecoveryPoint,
    RunsCertificate,
    Scaling,
    Smoothing,
    SurrogateCertificate,
    Verdict,
)
from ue_cli.types.look import LOOKS, STANDARD, STRONG, SUBTLE, Look
from ue_cli.types.methods import Making, TuePreset
from ue_cli.types.perturbation import Bank, Field, Provenance, project
from ue_cli.types.photos import FileRecord, Photo, PhotoSet, Skipped

__all__ = [
    "LOOKS",
    "PENDING",
    "STANDARD",
    "STRONG",
    "SUBTLE",
    "Bank",
    "Budget",
    "BudgetCertificate",
    "CertifyReport",
    "Detectability",
    "Difference",
    "EffectCell",
    "EffectReport",
    "EffectVerdict",
    "Encoding",
    "EtaBound",
    "Fidelity",
    "FidelitySummary",
    "Field",
    "FileRecord",
    "FloatArray",
    "LearnabilityCertificate",
    "Look",
    "Making",
    "NoisyCounts",
    "OnStep",
    "Phases",
    "Photo",
    "PhotoSet",
    "PixelArray",
    "Provenance",
    "RecoveryCheck",
    "RecoveryPoint",
    "RunsCertificate",
    "Scaling",
    "Separability",
    "Skipped",
    "Smoothing",
    "SurrogateCertificate",
    "Training",
    "TuePreset",
    "Verdict",
    "Watch",
    "project",
    "without_alpha",
]
