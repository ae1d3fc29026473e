from . import base_partner_merge
from . import member_consent_record
from . import member_profile_enrol
from . import member_tier_lock
