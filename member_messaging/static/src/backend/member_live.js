import {Component, onWillUnmount, useEffect, xml} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

const REFRESH_MS = 2000;
const MOVING_STATES = ["checking", "running"];

/** Reads a form again every other second while work on its record goes on. */
export class MemberLive extends Component {
    static template = xml`<t/>`;
    static props = {...standardWidgetProps};

    setup() {
        this.isAlive = true;
        onWillUnmount(() => (this.isAlive = false));
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
    }

    async refresh() {
        // Never throw away what somebody is typing.
        if (this.isAlive && !(await this.props.record.isDirty())) {
            await this.props.record.load();
        }
    }
}

registry.category("view_widgets").add("member_live", {component: MemberLive});
