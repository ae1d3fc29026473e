from . import member_consent_record
from . import member_profile_enrol
