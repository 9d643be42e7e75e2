"""Certificates of a test authority that open nothing anywhere: a server's for 127.0.0.1, and a client's.

Made once with openssl (req -x509 for the authority, x509 -req for the two), valid for a hundred years.
"""

from types import SimpleNamespace

AUTHORITY = """
MIIBmDCCAT2gAwIBAgIUKT099VQP5mwvSHN6rfTOWx3/YRAwCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNY3Jhd2wtdGVzdC1jYTAgFw0yNjExMjEw
OTAzMDZaGA8yMTI2MTEyMjA5MDMwNlowGDEWMBQGA1UEAwwNY3Jhd2wtdGVzdC1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABH4zOVt9HHZp
K6OHEiN2GyfamSzDBJ2JDoVatgnME2oCV6WO6ToGApHBS8YB6YD7fuqTcT9TZOB/I4CvsyPR0VOjYzBhMB0GA1UdDgQWBBRFGjid34WqSPRuOhdK
Yr3rQA96JTAfBgNVHSMEGDAWgBRFGjid34WqSPRuOhdKYr3rQA96JTAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQD
AgNJADBGAiEA4o7HfvpIk8TSkSJg8KiExiuWVh5lR9Jj3ymRG8ksklwCIQDExBiMX3RMJiojzqZVxfnj/Fb5TrTy7cLi+lFRGPhBgw==
"""
SERVER = """
MIIBqzCCAVGgAwIBAgIUfqVr5GW4EnEzs1oBlMKbIo1ScIEwCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNY3Jhd2wtdGVzdC1jYTAgFw0yNjExMjEw
OTAzMDZaGA8yMTI2MTEyMjA5MDMwNlowHDEaMBgGA1UEAwwRY3Jhd2wtdGVzdC1zZXJ2ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQs0tU3
FJSQCb2XmqEjTwSXiCg27q+Xx4q26JTVivRJOvK/wdGl2S4GgSGLonCm4uRjf+5pEpqoZjXpvXhu+n88o3MwcTAPBgNVHREECDAGhwR/AAABMBMG
A1UdJQQMMAoGCCsGAQUFBwMBMAkGA1UdEwQCMAAwHQYDVR0OBBYEFD6Slm+DcLGdevCgkqRxDLLCdFwRMB8GA1UdIwQYMBaAFEUaOJ3fhapI9G46
F0pivetAD3olMAoGCCqGSM49BAMCA0gAMEUCIE8te4UeuqqdUJujqO+RAu8FtJnRMqjrSh+jz6xUMNVFAiEA275oSZcuqfulCHD6y5Dz31F4XGPe
nlq7SbIxFT2Lt4E=
"""
SERVER_KEY = """
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQEX76vnfZ2cRWhC6/D019ti/10AYwmxmOhhix7GTkwmhRANCAAQs0tU3FJSQCb2X
mqEjTwSXiCg27q+Xx4q26JTVivRJOvK/wdGl2S4GgSGLonCm4uRjf+5pEpqoZjXpvXhu+n88
"""
CLIENT = """
MIIBmzCCAUCgAwIBAgIUfqVr5GW4EnEzs1oBlMKbIo1ScIIwCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNY3Jhd2wtdGVzdC1jYTAgFw0yNjExMjEw
OTAzMDZaGA8yMTI2MTEyMjA5MDMwNlowHDEaMBgGA1UEAwwRY3Jhd2wtdGVzdC1jbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR/reLq
hHFBqFsiheYbjHBTQD7b5+UVUoJ5JI2O6s0YOv/AzfChPT117wePb5S6Fb8Q7BcCadhXjHn0Wr5zgHFzo2IwYDATBgNVHSUEDDAKBggrBgEFBQcD
AjAJBgNVHRMEAjAAMB0GA1UdDgQWBBQoq5Y3vIO++6BW0+bcjsWpmHqbsjAfBgNVHSMEGDAWgBRFGjid34WqSPRuOhdKYr3rQA96JTAKBggqhkjO
PQQDAgNJADBGAiEA/MgnrEMEjEt4Qx+SbByiokB09K4oY9HPk1WGTpx/B3ACIQCqjxNPGx4EtlmxJ5KPTT9aGCv7AJxoI33QrzlKHwZuBQ==
"""
CLIENT_KEY = """
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkHpWd3UwxN+mhjUK4pWKtIIAy0+IFkLcNncyrzJEvCehRANCAAR/reLqhHFBqFsi
heYbjHBTQD7b5+UVUoJ5JI2O6s0YOv/AzfChPT117wePb5S6Fb8Q7BcCadhXjHn0Wr5zgHFz
"""


def certificate_files(folder):
    """The paths of PEM files in ``folder``: ``authority``, ``server``, ``server_key``, ``client``, ``client_key``."""
    paths = {}
    for name, text in (("authority", AUTHORITY), ("server", SERVER), ("server_key", SERVER_KEY),
                       ("client", CLIENT), ("client_key", CLIENT_KEY)):  # fmt: skip
        kind = "PRIVATE KEY" if name.endswith("key") else "CERTIFICATE"
        path = folder / f"{name}.pem"
        path.write_text(f"-----BEGIN {kind}-----{text}-----END {kind}-----\n")
        paths[name] = str(path)
    return SimpleNamespace(**paths)
