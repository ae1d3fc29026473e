from . import access_log
from . import callback
from . import consent
from . import join
from . import landing
from . import member_import
from . import records
