from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..gateways.generic import (
    ERROR_CLASSES,
    PLACEHOLDERS,
    GenericGateway,
    find_problems,
)

SYSTEM = "base.group_system"


class MemberGateway(models.Model):
    """Settings of a provider that is described instead of programmed."""

    _inherit = "member.gateway"

    # the call
    generic_url = fields.Char(
        string="URL",
        groups=SYSTEM,
        help="Where the provider takes a message, from its API documentation. Values "
        "in double braces are filled in, e.g. {{ to }}.",
    )
    generic_method = fields.Selection(
        [("POST", "POST"), ("GET", "GET"), ("PUT", "PUT")],
        string="Method",
        groups=SYSTEM,
        default="POST",
    )
    generic_headers = fields.Text(
        string="Headers",
        groups=SYSTEM,
        help="One per line, as “Name: value”. Write {{ api_secret }} where the secret "
        "belongs: it is then never shown.",
    )
    generic_body_type = fields.Selection(
        [("json", "JSON"), ("form", "Form"), ("xml", "XML"), ("text", "Plain Text")],
        string="Kind of Body",
        groups=SYSTEM,
        default="json",
        help="Decides how values are escaped. Plain text is not.",
    )
    generic_body = fields.Text(
        string="Request Body",
        groups=SYSTEM,
        help="The body as the provider wants it, with {{ to }}, {{ to_digits }} "
        "(without +), {{ to_national }} (without country code), {{ text }}, {{ "
        "key }} (our number of the message), {{ reference }} (unique for each "
        "call), {{ signature }}, {{ api_key }}, {{ api_secret }}, {{ callback_url"
        " }}. In JSON, write the quotation marks around them.",
    )
    generic_charset = fields.Selection(
        [("utf-8", "UTF-8"), ("gb18030", "GBK / GB18030")],
        string="Charset",
        groups=SYSTEM,
        default="utf-8",
    )
    generic_allow_private = fields.Boolean(
        string="In Our Own Network",
        groups=SYSTEM,
        help="Allow an address of this computer or of a private network, e.g. a modem "
        "in the shop, or a way through the proxy of your network. Leave it off "
        "for providers on the internet: nobody can then use this form to reach "
        "servers behind your firewall.",
    )
    # the answer
    generic_code_path = fields.Char(
        string="Result Code",
        groups=SYSTEM,
        help="Where the answer says whether the message was taken: a JMESPath such as "
        "code or result[0].status, which also works for XML (root.code) and "
        "forms, or a regular expression between slashes such as /^(\\w+):/, whose"
        " first group counts. Empty: the HTTP status.",
    )
    generic_success_codes = fields.Char(
        string="Accepted If",
        groups=SYSTEM,
        help="Result codes that mean the message was taken, parted by commas. With the "
        "HTTP status as result, empty stands for all of 200 to 299.",
    )
    generic_ref_path = fields.Char(
        string="Message ID",
        groups=SYSTEM,
        help="Where the answer has the provider's number of the message, by which "
        "delivery reports find it again.",
    )
    generic_message_path = fields.Char(
        string="Error Text",
        groups=SYSTEM,
        help="Where the answer says in words what is wrong.",
    )
    generic_error_outcomes = fields.Text(
        string="Error Codes",
        groups=SYSTEM,
        help="One per line, “code = meaning”, a * at the end for all codes that begin "
        "so. Meanings: retry, postpone, badnum (number does not exist), optout "
        "(member refused), content (text refused), template (sender or template "
        "refused), pause (account or balance), bug (our request is wrong). What "
        "is not listed fails the message and has no further consequence.",
    )
    # reports
    generic_report_entries = fields.Char(
        string="List of Reports",
        groups=SYSTEM,
        help="Where a callback has its reports. Empty: the body is the report, or a "
        "list of them.",
    )
    generic_report_number = fields.Char(string="Number", groups=SYSTEM)
    generic_report_ref = fields.Char(
        string="Message ID in Reports",
        groups=SYSTEM,
        help="The same number that the answer had.",
    )
    generic_report_reference = fields.Char(
        string="Our Reference",
        groups=SYSTEM,
        help="Where the provider repeats {{ reference }}. It finds messages whose "
        "answer got lost.",
    )
    generic_report_status = fields.Char(string="Status", groups=SYSTEM)
    generic_report_code = fields.Char(
        string="Error Code",
        groups=SYSTEM,
        help="Looked up among the error codes. Empty: the status is.",
    )
    generic_delivered_words = fields.Char(
        string="Delivered If", groups=SYSTEM, help="Statuses, parted by commas."
    )
    generic_failed_words = fields.Char(
        string="Failed If",
        groups=SYSTEM,
        help="Statuses, parted by commas. All others mean that the message is under "
        "way.",
    )
    generic_country = fields.Char(
        string="Country",
        groups=SYSTEM,
        help="Two letters, e.g. CN: the country of numbers that come without one.",
    )
    # replies
    generic_inbound_entries = fields.Char(
        string="List of Replies",
        groups=SYSTEM,
        help="Where a callback has its replies. Empty: the body is the reply, or a "
        "list of them.",
    )
    generic_inbound_number = fields.Char(string="Sender of Replies", groups=SYSTEM)
    generic_inbound_text = fields.Char(string="Text", groups=SYSTEM)
    generic_inbound_id = fields.Char(
        string="ID of Replies",
        groups=SYSTEM,
        help="Tells a reply that is posted again from a new one. Empty: equal replies "
        "are one.",
    )
    # callbacks
    generic_answer = fields.Char(
        string="Our Answer",
        groups=SYSTEM,
        help="What the provider wants to read as an acknowledgement.",
    )
    generic_secret_header = fields.Char(
        string="Secret Header",
        groups=SYSTEM,
        help="Name of a header with a secret of your choice, if the provider can send "
        "one. Callbacks without it are then rejected.",
    )
    generic_secret_value = fields.Char(string="Its Value", groups=SYSTEM, copy=False)

    @api.constrains(
        "provider", *(f"generic_{name}" for name in GenericGateway.option_names)
    )
    def _check_generic(self):
        # sudo: managers may choose the provider, and see no settings
        for gateway in self.sudo().filtered(lambda g: g.provider == "generic"):
            problems = find_problems(gateway._get_options())
            if problems:
                raise ValidationError(
                    "\n".join(map(gateway._describe_generic_problem, problems))
                )

    def _describe_generic_problem(self, problem):
        """:returns: a sentence about a wrong setting, with the name of its field"""
        sentence = {
            "url": self.env._(
                "“%s” is no address: it has to begin with https:// or http:// and must "
                "not contain a user name.",
                problem.detail,
            ),
            "host": self.env._(
                "The server itself cannot be a placeholder: write its name instead of "
                "“%s”.",
                problem.detail,
            ),
            "placeholder": self.env._(
                "There is no value “%(name)s”. Use %(names)s.",
                name=problem.detail,
                names=", ".join(PLACEHOLDERS),
            ),
            "json": self.env._(
                "Filled in, this is not JSON (%s). Are there quotation marks around "
                "each value in braces?",
                problem.detail,
            ),
            "xml": self.env._("Filled in, this is not XML (%s).", problem.detail),
            "header": self.env._(
                "“%s” is no header: write one per line, as “Name: value”.",
                problem.detail,
            ),
            "path": self.env._(
                "This finds nothing. Write e.g. code, data[0].id or, for texts, "
                "/id=(\\d+)/. %s",
                problem.detail,
            ),
            "regex": self.env._(
                "The regular expression between the slashes is wrong: %s.",
                problem.detail,
            ),
            "outcome": self.env._(
                "“%(line)s” is no error code with its meaning: write e.g. "
                "“1005 = pause”. The meanings are %(names)s.",
                line=problem.detail,
                names=", ".join(ERROR_CLASSES),
            ),
            "country": self.env._(
                "“%s” is no country: write its two letters, e.g. CN.", problem.detail
            ),
            "missing": self.env._("This has to be filled in as well."),
        }[problem.code]
        name = f"generic_{problem.option}"
        label = self._fields[name]._description_string(self.env)
        return f"{label}: {sentence}"

    def action_try(self):
        """Open the form that sends one message and shows what happens."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Try It"),
            "res_model": "member.gateway.try",
            "view_mode": "form",
            "target": "new",
            "context": {"default_gateway_id": self.id},
        }
