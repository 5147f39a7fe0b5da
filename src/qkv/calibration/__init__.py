"""Calibration: what a store can say of its own answers, learned from its own records."""

from qkv.calibration.evidence import NEAR, Evidence, gather
from qkv.calibration.fit import calibrate
from qkv.calibration.leaving import Store
from qkv.calibration.model import UNANSWERABLE, Calibration, Reliability, Verdict, prior
from qkv.calibration.told import Told

__all__ = [
    "NEAR",
    "UNANSWERABLE",
    "Calibration",
    "Evidence",
    "Reliability",
    "Store",
    "Told",
    "Verdict",
    "calibrate",
    "gather",
    "prior",
]
