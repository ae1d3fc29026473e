# 1 orders: what was bought, by whom, for how much
from . import member_order

# 2 profile: who the members are and what they allow
from . import member_tier
from . import member_rfm_scale
from . import member_rfm_segment
from . import member_profile
from . import member_profile_refresh
from . import product_category
from . import product_product
from . import product_template
from . import member_tier_change
from . import member_tag_rule
from . import member_tag_assignment
from . import member_consent
from . import member_consent_chain
from . import member_suppression
from . import member_former_number
from . import member_privacy_log
from . import member_erasure
from . import member_profile_merge
from . import member_contact
from . import res_company
from . import res_partner
from . import member_import
from . import member_import_column
from . import member_import_line
from . import member_enrolment

# 3 segment: who
from . import member_segment
from . import res_partner_segment

# 4 campaign: what, through which account, when
from . import loyalty_program
from . import member_send_cap
from . import member_send_policy
from . import member_send_policy_retention
from . import member_sending_hours
from . import member_gateway
from . import member_gateway_generic
from . import member_gateway_twilio
from . import member_gateway_aliyun
from . import member_gateway_infobip
from . import member_gateway_tencent
from . import member_gateway_guide
from . import member_gateway_code
from . import member_gateway_signature
from . import member_gateway_sandbox
from . import member_gateway_safety
from . import member_gateway_load
from . import member_send_quota
from . import member_lane
from . import res_config_settings
from . import member_template
from . import member_campaign
from . import member_campaign_safety
from . import member_campaign_create
from . import member_campaign_variant
from . import member_campaign_audience
from . import member_campaign_approval
from . import member_campaign_load
from . import member_campaign_trial
from . import ir_websocket

# 5 message: the outbox
from . import loyalty_card
from . import member_message
from . import member_message_plan
from . import member_message_contact
from . import member_segment_reach
from . import member_service_message
from . import member_message_purge

# 6 gateway: claimed messages go out, outcomes are recorded
from . import member_message_send
from . import member_message_call
from . import member_message_record
from . import member_message_reserve
from . import member_campaign_budget
from . import member_campaign_retry
from . import member_service_send
from . import member_gateway_shortage
from . import sms_sms
from . import res_company_sms

# 7 event: what happened to a message, and its money
from . import member_event
from . import member_message_visit
from . import member_preference
from . import member_quota
from . import res_company_join
from . import member_join
from . import member_capture
from . import member_keyword
from . import member_inbound
from . import member_complaint
from . import member_inbound_complaint
from . import member_send_policy_safety
from . import member_campaign_verdict
from . import member_callback
from . import member_callback_rejection
from . import member_callback_report
from . import member_callback_query
from . import member_message_early
from . import member_service_report
from . import member_attribution
from . import member_event_purge
from . import member_engagement
from . import pos_config
from . import pos_order
from . import sale_order
from . import account_move

# 8 report: figures (see also report/)
from . import member_campaign_funnel
from . import member_gateway_setup
from . import member_gateway_alarm
from . import member_page
from . import member_message_evidence
from . import member_copy
