import {ProductScreen} from "@point_of_sale/app/screens/product_screen/product_screen";
import {patch} from "@web/core/utils/patch";

patch(ProductScreen.prototype, {
    /** The card of a member, whatever rule the shop's barcodes follow. */
    async _getPartnerByBarcode(code) {
        return (
            (await super._getPartnerByBarcode(...arguments)) ||
            (await this.pos.findMember(code.code))
        );
    },

    /** To most tills a member number looks like a product they do not know. */
    async _barcodeProductAction(code) {
        const known = this.pos.findLoadedMember(code.code);
        if (known || !(await this._getProductByBarcode(code))) {
            const member = known || (await this.pos.findMember(code.code));
            if (member) {
                this.pos.setPartnerToCurrentOrder(member);
                return;
            }
        }
        return super._barcodeProductAction(...arguments);
    },
});
