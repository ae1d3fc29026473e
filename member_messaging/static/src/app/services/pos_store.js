import { PosStore } from "@point_of_sale/app/services/pos_store";
import { patch } from "@web/core/utils/patch";

patch(PosStore.prototype, {
    /**
     * A member's coupon names its owner: the customer is chosen along with the code, so
     * that the cashier scans once. An order that has a customer keeps it, and the server
     * refuses the coupons of other members.
     */
    async activateCode(code) {
        const order = this.getOrder();
        const owner = await this.data.call("loyalty.card", "get_member_coupon_owner", [
            code,
        ]);
        if (owner.partner_id && !order.getPartner()) {
            if (!this.models["res.partner"].get(owner.partner_id)) {
                await this.data.read("res.partner", [owner.partner_id]);
            }
            order.setPartner(this.models["res.partner"].get(owner.partner_id));
            await this.updateRewards();
        }
        return super.activateCode(owner.code);
    },
});
