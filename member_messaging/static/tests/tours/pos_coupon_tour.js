/* global posmodel */

import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Notification from "@point_of_sale/../tests/generic_helpers/notification_util";
import * as Offline from "@point_of_sale/../tests/generic_helpers/offline_util";
import * as PosLoyalty from "@pos_loyalty/../tests/tours/utils/pos_loyalty_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import {RPCError} from "@web/core/network/rpc";
import {registry} from "@web/core/registry";
import {run, scan_barcode} from "@point_of_sale/../tests/generic_helpers/utils";

function sellTea(total = "100.00") {
    return [
        ProductScreen.clickDisplayedProduct("Tea"),
        PosLoyalty.orderTotalIs(total),
    ].flat();
}

function isRefused(code, reason) {
    return [PosLoyalty.enterCode(code), Notification.has(reason)].flat();
}

function chooseCustomer(name) {
    return [
        ProductScreen.clickPartnerButton(),
        ProductScreen.clickCustomer(name),
        PosLoyalty.customerIs(name),
    ].flat();
}

registry.category("web_tour.tours").add("member_messaging_pos_redeem", {
    steps: () =>
        [
            Chrome.startPoS(),
            // Typed, as a person types: the customer comes with the code.
            sellTea(),
            PosLoyalty.enterCode("044-7k2m 9qxt 4rw4"),
            PosLoyalty.hasRewardLine("10% on your order", "-10.00"),
            PosLoyalty.customerIs("Member Typed"),
            PosLoyalty.orderTotalIs("90.00"),
            PosLoyalty.finalizeOrder("Cash", "90"),
            // Scanned before the first product: noted, and applied when there is one.
            scan_barcode("0443FZ8HNB6CVDQ"),
            Notification.has("Coupon 0443FZ8HNB6CVDQ is noted."),
            PosLoyalty.customerIs("Member Scanned"),
            sellTea("90.00"),
            PosLoyalty.hasRewardLine("10% on your order", "-10.00"),
            PosLoyalty.finalizeOrder("Cash", "90"),
        ].flat(),
});

registry.category("web_tour.tours").add("member_messaging_pos_refuse", {
    steps: () =>
        [
            Chrome.startPoS(),
            sellTea(),
            isRefused("0447K2M9QXT4RW5", "There is a typing error in 0447K2M9QXT4RW5"),
            isRefused("0446TRM3XWQ9HJC", "This coupon is invalid (0446TRM3XWQ9HJC)"),
            isRefused(
                "0445WQ2YTRJ9GKP",
                "Coupon 0445WQ2YTRJ9GKP has already been used"
            ),
            isRefused("0448PXC4DM7ZNH9", "Coupon 0448PXC4DM7ZNH9 expired on"),
            isRefused("0442BVH6KQ3WTR6", "Coupon 0442BVH6KQ3WTR6 has been withdrawn"),
            chooseCustomer("Member Typed"),
            isRefused(
                "0449GJT5RZ8FXM4",
                "Coupon 0449GJT5RZ8FXM4 belongs to another member"
            ),
            PosLoyalty.orderTotalIs("100.00"),
            // With its owner it applies; it goes when the order goes to somebody else.
            chooseCustomer("Member Foreign"),
            PosLoyalty.enterCode("0449GJT5RZ8FXM4"),
            PosLoyalty.orderTotalIs("90.00"),
            chooseCustomer("Member Typed"),
            Notification.has("Removed, because it belongs to another member"),
            PosLoyalty.orderTotalIs("100.00"),
            PosLoyalty.finalizeOrder("Cash", "100"),
        ].flat(),
});

registry.category("web_tour.tours").add("member_messaging_pos_trouble", {
    steps: () =>
        [
            Chrome.startPoS(),
            sellTea(),
            // Without a connection the till says so, as it does without this addon.
            Offline.setOfflineMode(),
            PosLoyalty.enterCode("0447K2M9QXT4RW4"),
            Dialog.is({title: "Connection Lost"}),
            Dialog.confirm("Continue with limited functionality"),
            Offline.setOnlineMode(),
            // A server that does not know our question leaves the code to stock.
            chooseCustomer("Member Typed"),
            run(() => {
                const call = posmodel.data.call;
                posmodel.data.call = function (model, method) {
                    if (method === "get_member_coupon_owner") {
                        throw new RPCError("No such method");
                    }
                    return call.apply(this, arguments);
                };
            }),
            PosLoyalty.enterCode("0447K2M9QXT4RW4"),
            PosLoyalty.orderTotalIs("90.00"),
            PosLoyalty.finalizeOrder("Cash", "90"),
        ].flat(),
});
