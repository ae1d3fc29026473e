import {PosStore} from "@point_of_sale/app/services/pos_store";
import {RPCError} from "@web/core/network/rpc";
import {_t} from "@web/core/l10n/translation";
import {patch} from "@web/core/utils/patch";

patch(PosStore.prototype, {
    /**
     * A member's coupon names its owner: the customer is chosen along with the code, so
     * that the cashier scans once. An order that has a customer keeps it, and the server
     * refuses the coupons of other members.
     */
    async activateCode(code) {
        const order = this.getOrder();
        const owner = await this.findCouponOwner(code);
        if (owner.partner && !order.getPartner()) {
            order.setPartner(owner.partner);
            await this.updateRewards();
        }
        const known = order._code_activated_coupon_ids.map((coupon) => coupon.id);
        const result = await super.activateCode(owner.code);
        const coupon = order._code_activated_coupon_ids.find(
            (card) => card.code === owner.code && !known.includes(card.id)
        );
        if (coupon?.program_id.program_type !== "coupons") {
            return result;
        }
        coupon.partner_id = owner.partner;
        if (!this.isCouponUsable(order, coupon)) {
            this.notification.add(
                _t(
                    "Coupon %s is noted. It applies as soon as the order meets its conditions.",
                    coupon.code
                ),
                {type: "info"}
            );
        }
        return true;
    },

    /**
     * @returns {Promise<{code: string, partner?: Object}>} the code as stored. Whatever
     *  the server has against our question, the till goes on as if it had not been asked.
     */
    async findCouponOwner(code) {
        try {
            const owner = await this.data.call(
                "loyalty.card",
                "get_member_coupon_owner",
                [code]
            );
            const partners = this.models["res.partner"];
            if (owner.partner_id && !partners.get(owner.partner_id)) {
                await this.data.read("res.partner", [owner.partner_id]);
            }
            return {code: owner.code, partner: partners.get(owner.partner_id)};
        } catch (error) {
            if (error instanceof RPCError) {
                return {code};
            }
            throw error;
        }
    },

    /** Does the coupon give something already, or may the cashier choose what it gives? */
    isCouponUsable(order, coupon) {
        return (
            order.lines.some((line) => line.coupon_id?.id === coupon.id) ||
            order.getClaimableRewards(coupon.id).length > 0
        );
    },

    updateRewards() {
        this.dropForeignCoupons();
        return super.updateRewards(...arguments);
    },

    /** A coupon goes when the cashier gives the order to another customer. */
    dropForeignCoupons() {
        const order = this.getOrder();
        if (!order || order.finalized) {
            return;
        }
        const foreign = order._code_activated_coupon_ids.filter(
            (coupon) =>
                coupon.partner_id && coupon.partner_id.id !== order.getPartner()?.id
        );
        if (foreign.length) {
            order._code_activated_coupon_ids = [["unlink", ...foreign]];
            this.notification.add(
                _t(
                    "Removed, because it belongs to another member: coupon %s.",
                    foreign.map((coupon) => coupon.code).join(", ")
                ),
                {type: "warning"}
            );
        }
    },
});
