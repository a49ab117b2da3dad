"""Tables whose columns lie with different parties."""

from .vertical import Frame as Frame
from .vertical import join as join
from .vertical import read as read
