import {PartnerLine} from "@point_of_sale/app/screens/partner_list/partner_line/partner_line";
import {patch} from "@web/core/utils/patch";

patch(PartnerLine.prototype, {
    get canEnrol() {
        return (
            !this.props.partner.member_number && this.pos.cashier._role !== "minimal"
        );
    },
});
