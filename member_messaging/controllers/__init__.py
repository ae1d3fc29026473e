from . import callback
from . import landing
