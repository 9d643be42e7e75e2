"""Parameters that advertisers and newsletters add to links to recognise a click: no page depends on them.

Names that browsers strip for all sites, Firefox' query stripping
(https://firefox-source-docs.mozilla.org/toolkit/components/antitracking/anti-tracking/query-stripping/) and Brave's
query filter (https://github.com/brave/brave-core/blob/master/components/query_filter/utils.cc), and beside them
only what the vendors' own documents name. Nothing that a site may give a meaning of its own, such as ``ref``,
``source`` or ``cid``.
"""

from typing import Final

#: Belongs to the crawl where they are dropped (crawl_dedup.canonical_rules): raise it with every change of the list.
TRACKING_VERSION: Final = 1

#: In lower case, as they are compared.
NAMES: Final = frozenset(
    {
        # Google Ads and Analytics: https://support.google.com/google-ads/answer/9744275, .../analytics/answer/10917952
        "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "gad_source", "gad_campaignid", "srsltid", "_ga", "_gl",
        # Meta, Microsoft, X, TikTok, LinkedIn, Reddit, Yandex
        "fbclid", "igshid", "msclkid", "twclid", "ttclid", "li_fat_id", "rdt_cid",
        "yclid", "ysclid", "ymclid", "_openstat",
        # Mailchimp, HubSpot, Marketo, Drip, Vero, Omeda, MailerLite, Ortto and others that send letters
        "mc_cid", "mc_eid", "_hsenc", "_hsmi", "__hssc", "__hstc", "__hsfp", "hsctatracking", "mkt_tok", "__s",
        "vero_id", "vero_conv", "oly_anon_id", "oly_enc_id", "ml_subscriber", "ml_subscriber_hash",
        "oft_id", "oft_k", "oft_lk", "oft_d", "oft_c", "oft_ck", "oft_ids", "oft_sk",
        # Adobe, Wicked Reports, R.O.EYE
        "s_cid", "wickedid", "rb_clickid",
    }
)  # fmt: skip
#: Of Google Analytics (Urchin before it), and of Matomo (https://matomo.org/faq/reports/).
PREFIXES: Final = ("utm_", "mtm_", "pk_campaign", "pk_kwd", "piwik_campaign", "piwik_kwd")


def is_tracking(name: str) -> bool:
    """Whether a parameter of this name, in lower case, is one."""
    return name in NAMES or name.startswith(PREFIXES)
