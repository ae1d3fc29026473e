import {registry} from "@web/core/registry";
import {stepUtils} from "@web_tour/tour_utils";

function figureIs(name, count) {
    return {
        content: `${count} ${name}`,
        trigger:
            `.o_member_reach button[name=${name}]` +
            `:has(.o_member_reach_count:contains(/^${count}$/))`,
    };
}

function openFigure(name, title, amount) {
    return [
        {
            content: `Who are they: ${name}?`,
            trigger: `.o_member_reach button[name=${name}]`,
            run: "click",
        },
        {
            content: `${amount} members: ${title}`,
            trigger: `.o_breadcrumb:contains('${title}')`,
        },
        {
            content: "Only the members behind the figure",
            trigger: `.o_pager_counter:contains('1-${amount}')`,
        },
        {
            content: "Back to the segment",
            trigger: ".o_back_button:contains('Tea lovers')",
            run: "click",
        },
    ];
}

registry.category("web_tour.tours").add("member_messaging_segment", {
    steps: () => [
        ...stepUtils.goToAppSteps("member_messaging.member_messaging_menu_root"),
        {
            content: "Open the menu of members",
            trigger: "[data-menu-xmlid='member_messaging.member_menu']",
            run: "click",
        },
        {
            content: "Open the segments",
            trigger: "[data-menu-xmlid='member_messaging.member_segment_menu']",
            run: "click",
        },
        {
            content: "A segment that cannot be read stands out",
            trigger: ".o_data_row.text-danger:contains('Outdated')",
        },
        {content: "Create a segment", trigger: ".o_list_button_add", run: "click"},
        {
            content: "Name it",
            trigger: ".o_field_widget[name=name] input",
            run: "edit Tea lovers",
        },
        {
            content: "There is nothing to see yet",
            trigger: ".o_member_reach:contains('Save the segment')",
        },
        {
            content: "Start with the usual condition",
            trigger: ".o_member_starters button[name=birthday]",
            run: "click",
        },
        {
            content: "It can be changed as any other",
            trigger:
                ".o_field_widget[name=domain] .o_tree_editor:contains('This Month')",
        },
        {
            content: "The number of members is live",
            trigger: "button[name=action_view_members]:contains('5')",
        },
        {
            content: "Choose another field",
            trigger: ".o_model_field_selector",
            run: "click",
        },
        {
            content: "Fields of the member come first",
            trigger: ".o_model_field_selector_popover_item:eq(0)[data-name^=member_]",
        },
        {
            content: "Leave it as it is",
            trigger: ".o_model_field_selector_popover_close",
            run: "click",
        },
        ...stepUtils.saveForm(),
        figureIs("selected", 5),
        figureIs("no_address", "− 1"),
        figureIs("address", 4),
        figureIs("no_consent", "− 2"),
        figureIs("consent", 2),
        figureIs("reachable", 2),
        {
            content: "The answer in one sentence",
            trigger:
                ".o_member_reach_summary:contains('2 of 5 can be reached by SMS.')",
        },
        ...openFigure("no_consent", "Never agreed to promotions", 2),
        ...openFigure("address", "Have a valid number", 4),
        {
            content: "And for service messages?",
            trigger: ".o_member_reach button[name=service]",
            run: "click",
        },
        figureIs("reachable", 4),
        {
            content: "A change of the conditions",
            trigger: ".o_member_starters button[name=silent]",
            run: "click",
        },
        {
            content: "Old figures are not shown for new conditions",
            trigger: ".o_member_reach:contains('Save the segment')",
        },
        ...stepUtils.saveForm(),
        figureIs("selected", 0),
    ],
});

registry.category("web_tour.tours").add("member_messaging_send_to_these", {
    steps: () => [
        ...stepUtils.goToAppSteps("member_messaging.member_messaging_menu_root"),
        {
            content: "Open the menu of members",
            trigger: "[data-menu-xmlid='member_messaging.member_menu']",
            run: "click",
        },
        {
            content: "Open the members",
            trigger: "[data-menu-xmlid='member_messaging.member_profile_menu']",
            run: "click",
        },
        {
            content: "These are the members",
            trigger: ".o_breadcrumb .active:contains('Members')",
        },
        {
            content: "Show them as a list",
            trigger: ".o_switch_view.o_list",
            run: "click",
        },
        {
            content: "Select everybody",
            trigger: ".o_list_record_selector input:not(:checked)",
            run: "click",
        },
        {
            content: "Open the actions",
            trigger: ".o_cp_action_menus button:has(.fa-cog)",
            run: "click",
        },
        {
            content: "Send to these",
            trigger: ".o_menu_item:contains('Send Campaign to These')",
            run: "click",
        },
        {
            content: "A draft for exactly them",
            trigger: "button[name=action_view_audience]:contains('5')",
        },
        {
            content: "Why will the others not get it?",
            trigger: ".o_member_forecast button[name=no_consent]:contains('2')",
            run: "click",
        },
        {
            content: "Only the members behind the figure",
            trigger: ".o_pager_counter:contains('1-2')",
        },
    ],
});
