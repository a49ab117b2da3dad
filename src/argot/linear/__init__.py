"""Linear models."""

from .logistic import LogisticRegression as LogisticRegression
