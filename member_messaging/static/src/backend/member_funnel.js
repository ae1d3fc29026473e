import {Component, onWillUnmount, useEffect} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {useService} from "@web/core/utils/hooks";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {formatInteger, formatPercentage} from "@web/views/fields/formatters";
import {_t} from "@web/core/l10n/translation";

// A fast sender reports many batches a second: nobody reads that fast.
const PAUSE_MS = 1000;
// The bus may be out of reach, behind a proxy say: then look by ourselves.
const REFRESH_MS = 5000;
const MOVING_STATES = ["scheduled", "sending"];
const TYPE = "member_messaging.progress";

/**
 * The steps of a campaign as bars: each a link to the messages behind it. While the
 * campaign moves, the server says when there are new figures.
 */
export class MemberFunnel extends Component {
    static template = "member_messaging.MemberFunnel";
    static props = {...standardFieldProps};

    setup() {
        this.action = useService("action");
        this.bus = useService("bus_service");
        const listen = (payload) => {
            if (payload.id === this.props.record.resId) {
                this.refreshSoon();
            }
        };
        this.bus.subscribe(TYPE, listen);
        useEffect(
            (id) => {
                if (!id) {
                    return;
                }
                const channel = `member.campaign_${id}`;
                this.bus.addChannel(channel);
                return () => this.bus.deleteChannel(channel);
            },
            () => [this.props.record.resId]
        );
        useEffect(
            (isMoving) => {
                if (!isMoving) {
                    return;
                }
                const timer = setInterval(() => this.refresh(), REFRESH_MS);
                return () => clearInterval(timer);
            },
            () => [MOVING_STATES.includes(this.props.record.data.state)]
        );
        this.isAlive = true;
        onWillUnmount(() => {
            this.isAlive = false;
            clearTimeout(this.timer);
            this.bus.unsubscribe(TYPE, listen);
        });
    }

    get steps() {
        const steps = this.props.record.data[this.props.name] || [];
        const widest = Math.max(1, ...steps.map((step) => step.count));
        return steps.map((step) => ({
            ...step,
            width: `${(100 * step.count) / widest}%`,
            text: formatInteger(step.count),
            rate: step.base
                ? formatPercentage(step.count / step.base, {digits: [16, 1]})
                : "",
            hint: _t("%(count)s of %(base)s", {
                count: formatInteger(step.count),
                base: formatInteger(step.base),
            }),
        }));
    }

    refreshSoon() {
        this.timer ??= setTimeout(() => {
            this.timer = undefined;
            this.refresh();
        }, PAUSE_MS);
    }

    async refresh() {
        // Never throw away what somebody is typing.
        if (this.isAlive && !(await this.props.record.isDirty())) {
            await this.props.record.load();
        }
    }

    async open(step) {
        const action = await this.action.loadAction(
            "member_messaging.member_message_action"
        );
        return this.action.doAction({
            ...action,
            display_name: step.label,
            domain: [["campaign_id", "=", this.props.record.resId], ...step.domain],
        });
    }
}

registry.category("fields").add("member_funnel", {
    component: MemberFunnel,
    supportedTypes: ["json"],
});
