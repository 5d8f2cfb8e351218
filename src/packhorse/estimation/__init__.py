"""What is believed: the charge of every cell, with its uncertainty."""

from packhorse.estimation.belief import begin, step
from packhorse.estimation.summary import summary

__all__ = ["begin", "step", "summary"]
