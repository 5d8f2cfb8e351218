"""What is believed of every cell, with its uncertainty, and what strings can do with it."""

from packhorse.estimation.belief import begin, step
from packhorse.estimation.health import follow, unheard
from packhorse.estimation.summary import summary

__all__ = ["begin", "follow", "step", "summary", "unheard"]
