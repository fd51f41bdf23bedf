"""Names of modules and packages that metadata does not give if the package is not installed.

Sources: the pages of the packages on PyPI, and the metadata of their releases up to the middle of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping

_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
_AZUREML = ("azureml-core",)

PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "Crypto": ("pycryptodome", "pycrypto"),
    "Cryptodome": ("pycryptodomex",),
    "Levenshtein": ("levenshtein", "python-levenshtein"),
    "OpenSSL": ("pyopenssl",),
    "PIL": ("pillow", "pillow-simd"),
    "attr": ("attrs",),
    "azureml.core": _AZUREML,
    "azureml.data": _AZUREML,
    "azureml.exceptions": _AZUREML,
    "bs4": ("beautifulsoup4",),
    "cupy": ("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"),
    "cv2": _OPENCV,
    "dateutil": ("python-dateutil",),
    "docx": ("python-docx",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("pymupdf",),
    "google.protobuf": ("protobuf",),
    "grpc": ("grpcio",),
    "jose": ("python-jose",),
    "jwt": ("pyjwt",),
    "magic": ("python-magic",),
    "mlflow": ("mlflow", "mlflow-skinny"),
    "mpl_toolkits": ("matplotlib",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "pkg_resources": ("setuptools",),
    "pptx": ("python-pptx",),
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "pylab": ("matplotlib",),
    "pythoncom": ("pywin32",),
    "serial": ("pyserial",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "tensorflow": (
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow-gpu",
        "tensorflow-intel",
        "intel-tensorflow",
        "tf-nightly",
    ),
    "keras": ("keras", "tensorflow"),
    "usb": ("pyusb",),
    "whisper": ("openai-whisper",),
    "win32api": ("pywin32",),
    "yaml": ("pyyaml",),
    "zmq": ("pyzmq",),
}
"""Module -> packages that provide it, if its name differs from theirs."""

_AZURE_SDK = (
    *("adal", "azure-common", "azure-core", "azure-identity", "azure-mgmt-core", "azure-storage-blob", "certifi"),
    *("cffi", "charset-normalizer", "cloudpickle", "cryptography", "docker", "idna", "isodate", "jmespath"),
    *("jsonpickle", "jsonschema", "attrs", "msal", "msrest", "oauthlib", "packaging", "paramiko", "pathspec"),
    *("portalocker", "psutil", "pyjwt", "pyopenssl", "python-dateutil", "pytz", "pyyaml", "requests", "six"),
    *("requests-oauthlib", "ruamel-yaml", "setuptools", "typing-extensions", "urllib3", "wheel", "pip"),
)
_DATAPREP = (*_AZURE_SDK, "azureml-dataprep", "fusepy", "numpy", "pyarrow")
_RUNTIME = (*_DATAPREP, "azureml-dataset-runtime")
_MLFLOW_SKINNY = (
    *("cachetools", "click", "cloudpickle", "databricks-sdk", "entrypoints", "fastapi", "gitpython", "packaging"),
    *("importlib-metadata", "opentelemetry-api", "opentelemetry-sdk", "protobuf", "pydantic", "python-dotenv", "pytz"),
    *("pyyaml", "requests", "sqlparse", "typing-extensions", "urllib3", "uvicorn"),
)
_TORCH = (
    *("filelock", "fsspec", "jinja2", "markupsafe", "mpmath", "networkx", "numpy", "setuptools", "sympy"),
    *("triton", "typing-extensions"),
)

BRINGS: Mapping[str, tuple[str, ...]] = {
    "azureml-core": _AZURE_SDK,
    "azureml-dataprep": _DATAPREP,
    "azureml-dataset-runtime": _DATAPREP,
    "azureml-defaults": (*_RUNTIME, "azureml-core", "flask", "azureml-inference-server-http", "werkzeug", "click"),
    "azureml-mlflow": (*_AZURE_SDK, *_MLFLOW_SKINNY, "mlflow-skinny"),
    "lightgbm": ("numpy", "scipy", "scikit-learn", "wheel"),
    "mlflow-skinny": _MLFLOW_SKINNY,
    "mltable": _DATAPREP,
    "onnxruntime": ("coloredlogs", "flatbuffers", "numpy", "packaging", "protobuf", "sympy"),
    "onnxruntime-gpu": ("coloredlogs", "flatbuffers", "numpy", "packaging", "protobuf", "sympy"),
    "pip": (),
    "setuptools": (),
    "torch": _TORCH,
    "torchaudio": (*_TORCH, "torch"),
    "torchvision": (*_TORCH, "torch", "pillow", "requests"),
    "wheel": ("packaging",),
    "xgboost": ("numpy", "scipy"),
    **dict.fromkeys(_OPENCV, ("numpy",)),
}
"""Packages that are often not installed where a gate runs -> modules that they and their dependencies may provide.

Nothing is known of other packages; they may provide any module.
"""
EXTRAS: Mapping[str, tuple[str, ...]] = {"pandas": ("pandas", "pyarrow", "numpy"), "scipy": ("scipy",)}
"""Extra of those packages -> what it adds."""
