"""Settings of a project's auth service, under the API's own names.

Source: https://api.supabase.com/api/v1, `PATCH /v1/projects/{ref}/config/auth`. What each one does is told at
https://supabase.com/docs/guides/auth. A field that is not set is not sent; null takes back what was set.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engines.supabase.wire import Settings

Text = str | None
Flag = bool | None
Short = Annotated[int, Field(ge=0, le=32_767)]
Count = Annotated[int, Field(ge=0, le=2_147_483_647)]
Positive = Annotated[int, Field(ge=1, le=2_147_483_647)]
OneUrl = Annotated[str, Field(pattern=r"^[^,]+$")]
Tags = Annotated[str, Field(pattern=r"^\s*([a-zA-Z0-9_-]+(\s*,+\s*)?)*\s*$")]
TestCodes = Annotated[str, Field(pattern=r"^([0-9]{1,15}=[0-9]+,?)*$")]
PasswordCharacters = Literal[
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:0123456789",
    "abcdefghijklmnopqrstuvwxyz:ABCDEFGHIJKLMNOPQRSTUVWXYZ:0123456789",
    "abcdefghijklmnopqrstuvwxyz:ABCDEFGHIJKLMNOPQRSTUVWXYZ:0123456789:!@#$%^&*()_+-=[]{};'\\\\:\"|<>?,./`~",
    "",
]


class AuthSettings(Settings):
    """What a stack sets of auth.

    The secret ones are shown as a digest by the service, so what was written is not what is read.
    """

    section: ClassVar[str] = "auth"
    secrets: ClassVar[frozenset[str]] = frozenset(
        {
            "external_apple_secret",
            "external_azure_secret",
            "external_bitbucket_secret",
            "external_discord_secret",
            "external_facebook_secret",
            "external_figma_secret",
            "external_github_secret",
            "external_gitlab_secret",
            "external_google_secret",
            "external_kakao_secret",
            "external_keycloak_secret",
            "external_linkedin_oidc_secret",
            "external_notion_secret",
            "external_slack_oidc_secret",
            "external_slack_secret",
            "external_spotify_secret",
            "external_twitch_secret",
            "external_twitter_secret",
            "external_workos_secret",
            "external_x_secret",
            "external_zoom_secret",
            "hook_after_user_created_secrets",
            "hook_before_user_created_secrets",
            "hook_custom_access_token_secrets",
            "hook_mfa_verification_attempt_secrets",
            "hook_password_verification_attempt_secrets",
            "hook_send_email_secrets",
            "hook_send_sms_secrets",
            "nimbus_oauth_client_secret",
            "security_captcha_secret",
            "sms_messagebird_access_key",
            # Not masked by the service; but who has these codes can log in.
            "sms_test_otp",
            "sms_textlocal_api_key",
            "sms_twilio_auth_token",
            "sms_twilio_verify_auth_token",
            "sms_vonage_api_key",
            "sms_vonage_api_secret",
            "smtp_pass",
        }
    )

    # Addresses and sign-up
    site_url: OneUrl | None = None
    disable_signup: Flag = None
    jwt_exp: Annotated[int, Field(ge=0, le=604800)] | None = None
    uri_allow_list: Text = None

    # Mail server
    smtp_admin_email: Text = None
    smtp_host: Text = None
    smtp_port: Text = None
    smtp_user: Text = None
    smtp_pass: Text = None
    smtp_max_frequency: Short | None = None
    smtp_sender_name: Text = None

    # Mails and their templates
    mailer_allow_unverified_email_sign_ins: Flag = None
    mailer_autoconfirm: Flag = None
    mailer_subjects_invite: Text = None
    mailer_subjects_confirmation: Text = None
    mailer_subjects_recovery: Text = None
    mailer_subjects_email_change: Text = None
    mailer_subjects_magic_link: Text = None
    mailer_subjects_reauthentication: Text = None
    mailer_subjects_password_changed_notification: Text = None
    mailer_subjects_email_changed_notification: Text = None
    mailer_subjects_phone_changed_notification: Text = None
    mailer_subjects_mfa_factor_enrolled_notification: Text = None
    mailer_subjects_mfa_factor_unenrolled_notification: Text = None
    mailer_subjects_identity_linked_notification: Text = None
    mailer_subjects_identity_unlinked_notification: Text = None
    mailer_templates_invite_content: Text = None
    mailer_templates_confirmation_content: Text = None
    mailer_templates_recovery_content: Text = None
    mailer_templates_email_change_content: Text = None
    mailer_templates_magic_link_content: Text = None
    mailer_templates_reauthentication_content: Text = None
    mailer_templates_password_changed_notification_content: Text = None
    mailer_templates_email_changed_notification_content: Text = None
    mailer_templates_phone_changed_notification_content: Text = None
    mailer_templates_mfa_factor_enrolled_notification_content: Text = None
    mailer_templates_mfa_factor_unenrolled_notification_content: Text = None
    mailer_templates_identity_linked_notification_content: Text = None
    mailer_templates_identity_unlinked_notification_content: Text = None
    mailer_notifications_password_changed_enabled: Flag = None
    mailer_notifications_email_changed_enabled: Flag = None
    mailer_notifications_phone_changed_enabled: Flag = None
    mailer_notifications_mfa_factor_enrolled_enabled: Flag = None
    mailer_notifications_mfa_factor_unenrolled_enabled: Flag = None
    mailer_notifications_identity_linked_enabled: Flag = None
    mailer_notifications_identity_unlinked_enabled: Flag = None
    mailer_secure_email_change_enabled: Flag = None
    mailer_otp_exp: Count = 0
    mailer_otp_length: Annotated[int, Field(ge=6, le=10)] | None = None

    # Messages to phones
    sms_autoconfirm: Flag = None
    sms_max_frequency: Short | None = None
    sms_otp_exp: Count | None = None
    sms_otp_length: Short = 0
    sms_provider: Literal["messagebird", "textlocal", "twilio", "twilio_verify", "vonage"] | None = None
    sms_messagebird_access_key: Text = None
    sms_messagebird_originator: Text = None
    sms_test_otp: TestCodes | None = None
    sms_test_otp_valid_until: Text = None
    sms_textlocal_api_key: Text = None
    sms_textlocal_sender: Text = None
    sms_twilio_account_sid: Text = None
    sms_twilio_auth_token: Text = None
    sms_twilio_content_sid: Text = None
    sms_twilio_message_service_sid: Text = None
    sms_twilio_verify_account_sid: Text = None
    sms_twilio_verify_auth_token: Text = None
    sms_twilio_verify_message_service_sid: Text = None
    sms_vonage_api_key: Text = None
    sms_vonage_api_secret: Text = None
    sms_vonage_from: Text = None
    sms_template: Text = None

    # Second factors
    mfa_max_enrolled_factors: Count | None = None
    mfa_totp_enroll_enabled: Flag = None
    mfa_totp_verify_enabled: Flag = None
    mfa_web_authn_enroll_enabled: Flag = None
    mfa_web_authn_verify_enabled: Flag = None
    mfa_phone_enroll_enabled: Flag = None
    mfa_phone_verify_enabled: Flag = None
    mfa_phone_max_frequency: Short | None = None
    mfa_phone_otp_length: Short | None = None
    mfa_phone_template: Text = None

    # Passwords
    password_hibp_enabled: Flag = None
    password_min_length: Annotated[int, Field(ge=6, le=32767)] | None = None
    password_required_characters: PasswordCharacters | None = None

    # Sessions and safety
    security_sb_forwarded_for_enabled: Flag = None
    security_captcha_enabled: Flag = None
    security_captcha_provider: Literal["turnstile", "hcaptcha"] | None = None
    security_captcha_secret: Text = None
    sessions_timebox: Annotated[float, Field(ge=0)] | None = None
    sessions_inactivity_timeout: Annotated[float, Field(ge=0)] | None = None
    sessions_single_per_user: Flag = None
    sessions_tags: Tags | None = None
    refresh_token_rotation_enabled: Flag = None
    security_manual_linking_enabled: Flag = None
    security_update_password_require_reauthentication: Flag = None
    security_refresh_token_reuse_interval: Count | None = None
    security_update_password_require_current_password: Flag = None

    # Rate limits, each per hour or per five minutes by the service
    rate_limit_anonymous_users: Positive | None = None
    rate_limit_email_sent: Positive | None = None
    rate_limit_sms_sent: Positive | None = None
    rate_limit_verify: Positive | None = None
    rate_limit_token_refresh: Positive | None = None
    rate_limit_otp: Positive | None = None
    rate_limit_web3: Positive | None = None

    # Sign-in with other providers
    external_anonymous_users_enabled: Flag = None
    external_email_enabled: Flag = None
    external_phone_enabled: Flag = None
    external_apple_enabled: Flag = None
    external_apple_client_id: Text = None
    external_apple_email_optional: Flag = None
    external_apple_secret: Text = None
    external_apple_additional_client_ids: Text = None
    external_azure_enabled: Flag = None
    external_azure_client_id: Text = None
    external_azure_email_optional: Flag = None
    external_azure_secret: Text = None
    external_azure_url: Text = None
    external_bitbucket_enabled: Flag = None
    external_bitbucket_client_id: Text = None
    external_bitbucket_email_optional: Flag = None
    external_bitbucket_secret: Text = None
    external_discord_enabled: Flag = None
    external_discord_client_id: Text = None
    external_discord_email_optional: Flag = None
    external_discord_secret: Text = None
    external_facebook_enabled: Flag = None
    external_facebook_client_id: Text = None
    external_facebook_email_optional: Flag = None
    external_facebook_secret: Text = None
    external_figma_enabled: Flag = None
    external_figma_client_id: Text = None
    external_figma_email_optional: Flag = None
    external_figma_secret: Text = None
    external_github_enabled: Flag = None
    external_github_client_id: Text = None
    external_github_email_optional: Flag = None
    external_github_secret: Text = None
    external_gitlab_enabled: Flag = None
    external_gitlab_client_id: Text = None
    external_gitlab_email_optional: Flag = None
    external_gitlab_secret: Text = None
    external_gitlab_url: Text = None
    external_google_enabled: Flag = None
    external_google_client_id: Text = None
    external_google_email_optional: Flag = None
    external_google_secret: Text = None
    external_google_additional_client_ids: Text = None
    external_google_skip_nonce_check: Flag = None
    external_kakao_enabled: Flag = None
    external_kakao_client_id: Text = None
    external_kakao_email_optional: Flag = None
    external_kakao_secret: Text = None
    external_keycloak_enabled: Flag = None
    external_keycloak_client_id: Text = None
    external_keycloak_email_optional: Flag = None
    external_keycloak_secret: Text = None
    external_keycloak_url: Text = None
    external_linkedin_oidc_enabled: Flag = None
    external_linkedin_oidc_client_id: Text = None
    external_linkedin_oidc_email_optional: Flag = None
    external_linkedin_oidc_secret: Text = None
    external_slack_oidc_enabled: Flag = None
    external_slack_oidc_client_id: Text = None
    external_slack_oidc_email_optional: Flag = None
    external_slack_oidc_secret: Text = None
    external_notion_enabled: Flag = None
    external_notion_client_id: Text = None
    external_notion_email_optional: Flag = None
    external_notion_secret: Text = None
    external_slack_enabled: Flag = None
    external_slack_client_id: Text = None
    external_slack_email_optional: Flag = None
    external_slack_secret: Text = None
    external_spotify_enabled: Flag = None
    external_spotify_client_id: Text = None
    external_spotify_email_optional: Flag = None
    external_spotify_secret: Text = None
    external_twitch_enabled: Flag = None
    external_twitch_client_id: Text = None
    external_twitch_email_optional: Flag = None
    external_twitch_secret: Text = None
    external_twitter_enabled: Flag = None
    external_twitter_client_id: Text = None
    external_twitter_email_optional: Flag = None
    external_twitter_secret: Text = None
    external_x_enabled: Flag = None
    external_x_client_id: Text = None
    external_x_email_optional: Flag = None
    external_x_secret: Text = None
    external_workos_enabled: Flag = None
    external_workos_client_id: Text = None
    external_workos_secret: Text = None
    external_workos_url: Text = None
    external_web3_solana_enabled: Flag = None
    external_web3_ethereum_enabled: Flag = None
    external_zoom_enabled: Flag = None
    external_zoom_client_id: Text = None
    external_zoom_email_optional: Flag = None
    external_zoom_secret: Text = None

    # Hooks
    hook_mfa_verification_attempt_enabled: Flag = None
    hook_mfa_verification_attempt_uri: Text = None
    hook_mfa_verification_attempt_secrets: Text = None
    hook_password_verification_attempt_enabled: Flag = None
    hook_password_verification_attempt_uri: Text = None
    hook_password_verification_attempt_secrets: Text = None
    hook_custom_access_token_enabled: Flag = None
    hook_custom_access_token_uri: Text = None
    hook_custom_access_token_secrets: Text = None
    hook_send_sms_enabled: Flag = None
    hook_send_sms_uri: Text = None
    hook_send_sms_secrets: Text = None
    hook_send_email_enabled: Flag = None
    hook_send_email_uri: Text = None
    hook_send_email_secrets: Text = None
    hook_before_user_created_enabled: Flag = None
    hook_before_user_created_uri: Text = None
    hook_before_user_created_secrets: Text = None
    hook_after_user_created_enabled: Flag = None
    hook_after_user_created_uri: Text = None
    hook_after_user_created_secrets: Text = None

    # The service itself
    db_max_pool_size: int | None = None
    db_max_pool_size_unit: Literal["connections", "percent"] | None = None
    api_max_request_duration: int | None = None

    # SAML, OAuth and other ways in
    saml_enabled: Flag = None
    saml_external_url: OneUrl | None = None
    passkey_enabled: bool = False
    webauthn_rp_display_name: Text = None
    webauthn_rp_id: Text = None
    webauthn_rp_origins: Text = None
    nimbus_oauth_client_id: Text = None
    nimbus_oauth_client_secret: Text = None
    oauth_server_enabled: Flag = None
    oauth_server_allow_dynamic_registration: Flag = None
    oauth_server_authorization_path: Text = None
    custom_oauth_enabled: bool = False
