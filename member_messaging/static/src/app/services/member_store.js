import {PosStore} from "@point_of_sale/app/services/pos_store";
import {RPCError} from "@web/core/network/rpc";
import {_t} from "@web/core/l10n/translation";
import {patch} from "@web/core/utils/patch";

patch(PosStore.prototype, {
    findLoadedMember(number) {
        return this.models["res.partner"].find((partner) => partner.isMember(number));
    },

    /**
     * @param {String} number as scanned from a member's card
     * @returns {Promise<Object|undefined>} the customer; the till knows only some and
     *  asks the server for the others
     */
    async findMember(number) {
        const known = this.findLoadedMember(number);
        if (known) {
            return known;
        }
        try {
            const found = await this.data.callRelated(
                "res.partner",
                "get_new_partner",
                [this.config.id, [["barcode", "=", number]], 0]
            );
            return found["res.partner"][0];
        } catch (error) {
            // Without a connection, or a server that does not know our question, the
            // code is unknown as any other one.
            if (error instanceof RPCError) {
                return;
            }
            throw error;
        }
    },

    /** Make a customer a member. It is no consent to promotions. */
    async enrolMember(partner) {
        await this.data.callRelated("res.partner", "pos_enrol_member", [
            [partner.id],
            this.config.id,
        ]);
        this.notification.add(
            _t("%(name)s is a member now: %(number)s", {
                name: partner.name,
                number: partner.member_number,
            }),
            {type: "success"}
        );
    },
});
