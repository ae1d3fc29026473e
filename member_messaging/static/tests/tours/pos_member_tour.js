import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Notification from "@point_of_sale/../tests/generic_helpers/notification_util";
import * as PartnerList from "@point_of_sale/../tests/pos/tours/utils/partner_list_util";
import * as PosLoyalty from "@pos_loyalty/../tests/tours/utils/pos_loyalty_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import {registry} from "@web/core/registry";
import {scan_barcode} from "@point_of_sale/../tests/generic_helpers/utils";

function showsTier(tier) {
    return {
        content: `the customer button shows the tier ${tier}`,
        trigger: `.product-screen .set-partner .member-tier:contains("${tier}")`,
    };
}

function isListed(name, text) {
    return {
        content: `the customer list shows ${text} for ${name}`,
        trigger: `.partner-list .partner-info:contains("${name}") .member-badge:contains("${text}")`,
    };
}

registry.category("web_tour.tours").add("member_messaging_pos_member", {
    steps: () =>
        [
            Chrome.startPoS(),
            ProductScreen.clickDisplayedProduct("Tea"),
            // Not a member yet: one touch in the customer list.
            ProductScreen.clickPartnerButton(),
            PartnerList.searchCustomerValue("Amy Walk-in", true),
            PartnerList.clickPartnerOptions("Amy Walk-in"),
            {
                content: "the target is big enough for a finger",
                trigger: ".o-dropdown-item.member-enrol",
                run({anchor}) {
                    if (anchor.getBoundingClientRect().height < 44) {
                        throw new Error("less than 44 px high");
                    }
                },
            },
            PartnerList.clickDropDownItemText("Enrol as Member"),
            Notification.has("Amy Walk-in is a member now"),
            isListed("Amy Walk-in", "Ordinary"),
            PartnerList.clickPartnerOptions("Amy Walk-in"),
            {
                content: "a member is not enrolled again",
                trigger: ".o-dropdown--menu:not(:has(.member-enrol))",
            },
            PartnerList.clickPartner("Amy Walk-in"),
            PosLoyalty.customerIs("Amy Walk-in"),
            showsTier("Ordinary"),
            // The card of a member the till has not loaded.
            scan_barcode("CARD-0042"),
            PosLoyalty.customerIs("Bea Member"),
            showsTier("Gold"),
            // One it knows already, and a product goes on being a product.
            scan_barcode("card-0042"),
            PosLoyalty.customerIs("Bea Member"),
            scan_barcode("TEA-1"),
            PosLoyalty.orderTotalIs("200.00"),
            scan_barcode("CARD-9999"),
            Notification.has("could not find any product, customer"),
            // Typed into the search of the customer list.
            ProductScreen.clickPartnerButton(),
            PartnerList.searchCustomerValue("CARD-0043", true),
            isListed("Cleo Member", "CARD-0043"),
            PartnerList.clickPartner("Cleo Member"),
            PosLoyalty.customerIs("Cleo Member"),
            PosLoyalty.finalizeOrder("Cash", "200"),
        ].flat(),
});
