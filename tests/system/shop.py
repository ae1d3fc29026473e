"""Members, and a campaign to them, for tests with several connections or processes."""


def make_members(env, size):
    """:returns: profiles of so many new members in China"""
    partners = env["res.partner"].create(
        [
            {
                "name": f"Member {index}",
                "phone": f"+86 138 0013 {index + 1000}",
                "country_id": env.ref("base.cn").id,
            }
            for index in range(size)
        ]
    )
    values = [{"partner_id": partner.id} for partner in partners]
    return env["member.profile"].create(values)


def make_gateway(env, **values):
    """:returns: an account at the provider that is named"""
    return env["member.gateway"].create({"name": "Carrier", **values})


def agree(env, profiles):
    """Let members agree to promotions."""
    env["member.consent"].create(
        [
            {
                "profile_id": profile.id,
                "state": "granted",
                "source": "staff",
                "evidence": "Paper form",
            }
            for profile in profiles
        ]
    )


def launch(env, profiles, gateway, category="notice", **values):
    """:returns: a launched campaign to these members, committed but not planned"""
    template = env["member.template"].create(
        {
            "name": "Text",
            "category": category,
            "lang": "en_US",
            "body": "{{ member_name }}, see {{ link }}"
            + ("" if category == "notice" else " Stop: {{ unsubscribe_link }}"),
        }
    )
    segment = env["member.segment"].create(
        {
            "name": "Everybody here",
            "domain": repr([("member_profile_id", "in", profiles.ids)]),
        }
    )
    campaign = env["member.campaign"].create(
        {
            "name": "Campaign",
            "category": category,
            "segment_ids": segment.ids,
            "template_id": template.id,
            "gateway_id": gateway.id,
            **values,
        }
    )
    campaign.action_launch()
    env.cr.commit()
    return campaign
