from . import (
    test_order_profile,
)
