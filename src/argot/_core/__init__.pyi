"""Types of the Rust module. Submodules without a file here are untyped."""

from typing import Any

from . import link as link
from . import mail as mail
from . import mpc as mpc
from . import ot as ot
from . import prf as prf
from . import ring as ring
from . import rlwe as rlwe
from . import sets as sets

def __getattr__(name: str) -> Any: ...
