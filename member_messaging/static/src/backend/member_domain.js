import {Domain} from "@web/core/domain";
import {DomainSelector} from "@web/core/domain_selector/domain_selector";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {sortBy} from "@web/core/utils/arrays";
import {DomainField, domainField} from "@web/views/fields/domain/domain_field";

/** What shops ask for most, with a first value to change. */
function getStarters() {
    return [
        {name: "tier", label: _t("Tier"), domain: [["member_tier_id", "in", []]]},
        {
            name: "lifecycle",
            label: _t("Life cycle"),
            domain: [["member_lifecycle", "in", ["sleeping"]]],
        },
        {
            name: "rfm",
            label: _t("RFM segment"),
            domain: [["member_rfm_segment_id", "in", []]],
        },
        {name: "tags", label: _t("Tags"), domain: [["category_id", "in", []]]},
        {name: "region", label: _t("Region"), domain: [["state_id", "in", []]]},
        {
            name: "interest",
            label: _t("Interest"),
            domain: [["member_favourite_category_id", "in", []]],
        },
        {
            name: "spent",
            label: _t("Spent"),
            domain: [["member_revenue", ">=", 1000]],
        },
        {
            name: "silent",
            label: _t("No order for 60 days"),
            domain: [["member_days_since_order", ">=", 60]],
        },
        {
            name: "birthday",
            label: _t("Birthday this month"),
            domain: [["member_birthday_month", "=", "this"]],
        },
    ];
}

/** Fields of the member stand before the hundreds of others of a contact. */
function sortMemberFirst(fieldDefs) {
    return sortBy(
        Object.keys(fieldDefs),
        (name) => (name.startsWith("member_") ? "0" : "1") + fieldDefs[name].string
    );
}

class MemberDomainSelector extends DomainSelector {
    getPathEditorInfo(...args) {
        const info = super.getPathEditorInfo(...args);
        const extractProps = info.extractProps;
        return {
            ...info,
            extractProps: (params) => ({
                ...extractProps(params),
                sort: sortMemberFirst,
            }),
        };
    }

    getDefaultCondition(fieldDefs) {
        const {member_lifecycle} = fieldDefs;
        return super.getDefaultCondition(
            member_lifecycle ? {member_lifecycle} : fieldDefs
        );
    }

    // Archived contacts get nothing, whatever the conditions say.
    getShowArchivedCheckBox() {
        return false;
    }
}

/** The stock editor with the member's fields first and the usual conditions ready. */
export class MemberDomainField extends DomainField {
    static template = "member_messaging.MemberDomainField";
    static components = {
        ...DomainField.components,
        DomainSelector: MemberDomainSelector,
    };

    setup() {
        super.setup();
        this.starters = getStarters();
    }

    // The count beside the conditions is of members, as everywhere else.
    getEvaluatedDomain(props = this.props) {
        const domain = super.getEvaluatedDomain(props);
        return domain.isInvalid
            ? domain
            : Domain.and([domain, [["member_profile_id", "!=", false]]]).toList();
    }

    addStarter(starter) {
        this.update(
            Domain.and([new Domain(this.getDomain()), starter.domain]).toString()
        );
    }
}

registry.category("fields").add("member_domain", {
    ...domainField,
    component: MemberDomainField,
});
