# 1 orders: what was bought, by whom, for how much
from . import member_order

# 2 profile: who the members are and what they allow
from . import member_tier
from . import member_rfm_scale
from . import member_rfm_segment
from . import member_profile
from . import member_profile_refresh
from . import member_tier_change
from . import member_tag_rule
from . import member_tag_assignment
from . import member_consent
from . import member_former_number
from . import member_profile_merge
from . import member_contact
from . import res_company
from . import res_partner
from . import member_import
from . import member_import_column
from . import member_import_line
from . import member_enrolment
from . import res_config_settings

# 3 segment: who
from . import member_segment
from . import res_partner_segment

# 4 campaign: what, through which account, when
from . import loyalty_program
from . import member_send_policy
from . import member_gateway
from . import member_template
from . import member_campaign
from . import member_campaign_create
from . import member_campaign_variant

# 5 message: the outbox
from . import loyalty_card
from . import member_message
from . import member_message_contact
from . import member_segment_reach

# 6 gateway: claimed messages go out, outcomes are recorded
from . import member_message_send

# 7 event: what happened to a message, and its money
from . import member_event
from . import member_message_visit
from . import member_inbound
from . import member_callback
from . import member_attribution
from . import member_engagement
from . import pos_config
from . import pos_order
from . import sale_order
from . import account_move

# 8 report: figures (see also report/)
from . import member_campaign_funnel
from . import member_page
