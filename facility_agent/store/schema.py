"""The tables, as steps that `user_version` counts. A step that has shipped is never changed."""

STEPS = (
    """
    create table meta (key text primary key, value text not null);
    create table link (
        issuer text not null, sub text not null, username text not null, immutable_id text not null,
        generation integer not null, active integer not null, primary key (issuer, sub)
    );
    create index link_account on link (immutable_id);
    create table consent (issuer text, sub text, scopes text not null, primary key (issuer, sub));
    create table code (
        code_hash text primary key, challenge text not null, secret blob not null, issuer text not null,
        sub text not null, sid text not null, scopes text not null, expires_at real not null
    );
    create table grant_ (
        grant_id text primary key, issuer text not null, sub text not null, sid text not null,
        immutable_id text not null, generation integer not null, scopes text not null, secret blob not null,
        created_at real not null, expires_at real not null
    );
    create index grant_subject on grant_ (issuer, sub, sid);
    create table seen (
        command_id text primary key, grant_id text not null, body_hash text not null, expires_at real not null
    );
    create table ended_sid (issuer text, sid text, until real not null, primary key (issuer, sid));
    create table session (
        cookie_hash text primary key, issuer text, sub text, sid text not null, data text not null,
        expires_at real not null
    );
    create table pass (
        cookie_hash text primary key, workspace_id text not null, issuer text not null, sub text not null,
        sid text not null, generation integer not null, expires_at real not null
    );
    create table workspace (
        workspace_id text primary key, issuer text not null, sub text not null, immutable_id text not null,
        order_hash text not null, environment text not null, flavour text not null, proposals text not null,
        title text not null, lifetime_s integer not null, state text not null, sequence integer not null,
        steps text not null, handle text not null, secret blob not null, reason text not null,
        message text not null, created_at real not null, ends_at real, ended_at real
    );
    create index workspace_account on workspace (immutable_id, state);
    """,
    """
    create table door_code (
        code_hash text primary key, workspace_id text not null, state_hash text not null, issuer text not null,
        sub text not null, sid text not null, expires_at real not null
    );
    """,
    """
    create table order_ (
        order_id text primary key, grant_id text not null, order_hash text not null, verb text not null,
        issuer text not null, sub text not null, generation integer not null, body blob not null,
        result blob not null, accepted_at real not null, settled_at real, acknowledged_at real
    ) without rowid;
    create index order_open on order_ (accepted_at) where settled_at is null;
    create index order_unacknowledged on order_ (settled_at, order_id)
        where settled_at is not null and acknowledged_at is null;
    create index order_acknowledged on order_ (acknowledged_at) where acknowledged_at is not null;
    """,
    """
    create table egress_person (issuer text not null, sub text not null, key blob not null, primary key (issuer, sub));
    """,
    """
    create table restore (pid text primary key, immutable_id text not null, asked_at real not null);
    """,
    """
    create table entered_place (
        immutable_id text not null, pid text not null, folder text not null, entered_at real not null, missed_at real,
        primary key (immutable_id, pid)
    ) without rowid;
    alter table workspace add column dataset text not null default '';
    """,
    """
    alter table workspace add column results text not null default '';
    """,
    """
    create table sign_on_token (
        issuer text not null, sub text not null, sid text not null, immutable_id text not null, mark text not null,
        token blob not null, kept_at real not null, expires_at real not null, primary key (issuer, sub)
    ) without rowid;
    create index sign_on_token_account on sign_on_token (immutable_id);
    """,
)
