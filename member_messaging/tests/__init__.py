from . import (
    test_campaign,
    test_consent,
    test_order_profile,
    test_pos,
    test_tours,
    test_segment,
    test_template,
    test_translation,
)
