import {ResPartner} from "@point_of_sale/app/models/res_partner";
import {patch} from "@web/core/utils/patch";

patch(ResPartner.prototype, {
    /** What a cashier types or scans into the search of the customer list. */
    get searchString() {
        return [super.searchString, this.member_number].filter(Boolean).join(" ");
    },

    exactMatch(searchWord) {
        return super.exactMatch(...arguments) || this.isMember(searchWord);
    },

    /** Is this the member with a number, however it was typed? */
    isMember(number) {
        const own = this.member_number || "";
        return own !== "" && own.toLowerCase() === number.toLowerCase();
    },
});
