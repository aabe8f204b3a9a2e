"""The bucket, or a folder of it, over obstore."""

from obstore.store import S3Store


def opened(context, prefix=None):
    """A store that has not connected yet."""
    return S3Store(
        context.bucket, prefix=prefix, endpoint=context.endpoint, region="us-east-1",
        access_key_id=context.access_key, secret_access_key=context.secret_key,
        client_options={"allow_http": True},
    )  # fmt: skip
