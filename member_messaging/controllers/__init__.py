from . import callback
from . import landing
from . import member_import
