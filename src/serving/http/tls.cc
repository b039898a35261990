// SPDX-License-Identifier: Apache-2.0
#include "serving/http/tls.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <string>
#include <utility>

namespace plait::serving {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class Object>
using Owned = std::unique_ptr<Object, Free>;

// Of TLS 1.2: a key for each connection, and authenticated encryption. Those of TLS 1.3 are all of this kind.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

std::unexpected<base::Error> refused(std::string_view what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_peek_last_error(), reason.data(), reason.size());
  const char* const words = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return fail(ErrorCode::invalid_data, fmt::format("{}: {}", what, words != nullptr ? words : reason.data()));
}

// OpenSSL would ask at the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return 0; }

// Protocol names, each behind its length, as in RFC 7301.
int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                    unsigned offered_bytes, void* /*data*/) {
  constexpr std::string_view kOurs = "http/1.1";
  for (unsigned at = 0; at < offered_bytes && offered[at] < offered_bytes - at; at += 1U + offered[at]) {
    if (std::string_view(reinterpret_cast<const char*>(offered) + at + 1, offered[at]) != kOurs) continue;
    *chosen = offered + at + 1;
    *length = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

void set_rules(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, kCiphers);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Buffers are given back while a connection is silent.
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // clients keep tickets instead
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
}

Result<void> use_certificates(SSL_CTX* context, std::string_view pem) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return fail(ErrorCode::out_of_resources, "no memory for a certificate");
  const Owned<X509> own(PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr));
  if (!own || SSL_CTX_use_certificate(context, own.get()) != 1) return refused("the certificate");
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) == 1) continue;
    X509_free(next);
    return refused("the certificate's chain");
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return refused("the certificate's chain");
  ERR_clear_error();
  return {};
}

Result<void> use_key(SSL_CTX* context, std::string_view pem) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return fail(ErrorCode::out_of_resources, "no memory for a key");
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return refused("the certificate's key");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return refused("the key and the certificate");
  }
  return {};
}

}  // namespace

Result<TlsIdentity> TlsIdentity::make(std::string_view certificates, std::string_view key) {
  if (certificates.size() > kPemBytesMax || key.size() > kPemBytesMax) {
    return fail(ErrorCode::invalid_data, fmt::format("a certificate or key of more than {} bytes", kPemBytesMax));
  }
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context) return fail(ErrorCode::out_of_resources, "no memory for TLS");
  set_rules(context.get());
  PLAIT_TRY_VOID(use_certificates(context.get(), certificates));
  PLAIT_TRY_VOID(use_key(context.get(), key));
  return TlsIdentity(std::move(context));
}

}  // namespace plait::serving
