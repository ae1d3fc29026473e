import {
    choose,
    isState,
    launch,
    openApp,
    openCampaign,
    runCrons,
    stepIs,
} from "./tour_steps";
import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("member_messaging_campaign_staff", {
    steps: () => [
        ...openApp(),
        {
            content: "Create a campaign",
            trigger: ".o-kanban-button-new",
            run: "click",
        },
        {
            content: "Name it",
            trigger: ".o_field_widget[name=name] input",
            run: "edit Tea week",
        },
        ...choose("segment_ids", "Tea lovers"),
        ...choose("template_id", "Tea offer"),
        ...choose("program_id", "Ten percent"),
        {
            content: "See how many members are selected",
            trigger: "button[name=action_view_audience]:contains('4')",
        },
        {
            content: "See who will get it",
            trigger:
                ".o_field_widget[name=forecast]:contains('3 of 4 members will get it.')",
        },
        {
            content: "See what it costs",
            trigger: ".o_field_widget[name=forecast]:contains('for 3 SMS each')",
        },
        {
            content: "See why somebody will not",
            trigger:
                ".o_field_widget[name=forecast]:contains('1 · Never agreed to promotions')",
        },
        {
            content: "Read the text as a member does",
            trigger: ".o_member_phone:contains('Dear Amy, code 044')",
        },
        {
            content: "Launching is not for staff",
            trigger: ".o_form_statusbar:not(:has(button[name=action_launch]))",
        },
        {
            content: "Submit",
            trigger: "button[name=action_request_review]",
            run: "click",
        },
        isState("In Review"),
    ],
});

registry.category("web_tour.tours").add("member_messaging_campaign_manager", {
    steps: () => [...openCampaign("Tea week"), ...launch(), stepIs("planned", 0, "")],
});

registry.category("web_tour.tours").add("member_messaging_campaign_live", {
    steps: () => [
        ...openCampaign("Tea week"),
        isState("Scheduled"),
        stepIs("planned", 0, ""),
        {
            content: "The scheduler plans and sends, while the administrator looks on",
            trigger: ".o_form_view",
            run: () => runCrons("model._cron_plan()", "model._cron_send(1)"),
        },
        isState("Done"),
        stepIs("sent", 3, "100%"),
    ],
});

registry.category("web_tour.tours").add("member_messaging_campaign_recap", {
    steps: () => [
        ...openCampaign("Tea week"),
        stepIs("planned", 4, "100%"),
        stepIs("reachable", 3, "75%"),
        stepIs("sent", 3, "100%"),
        stepIs("delivered", 3, "100%"),
        stepIs("clicked", 1, "33.3%"),
        stepIs("redeemed", 0, "0%"),
        {
            content: "Who clicked?",
            trigger: ".o_member_funnel button[name=clicked]",
            run: "click",
        },
        {
            content: "Only the messages behind the figure",
            trigger:
                ".o_list_view:has(.o_breadcrumb:contains('Clicked')) .o_pager_counter:contains('1-1')",
        },
        {
            content: "It is the member who clicked",
            trigger: ".o_data_row:contains('Amy')",
        },
        {
            content: "Back to the campaign",
            trigger: ".o_back_button:contains('Tea week')",
            run: "click",
        },
        {
            content: "Open the recap",
            trigger: "button[name=action_view_report]",
            run: "click",
        },
        {
            content: "The pivot shows the campaign",
            trigger: ".o_pivot:contains('Tea week')",
        },
    ],
});
