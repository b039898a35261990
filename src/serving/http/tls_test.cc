// SPDX-License-Identifier: Apache-2.0
//
// TLS over real loopback sockets, with certificates made here. tests/clients/tls_test.py has Python's client.
#include "serving/http/tls.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/http/loopback_test_client.h"
#include "serving/http/server.h"
#include "serving/http/sse.h"
#include "testing/temp_dir.h"

namespace plait::serving {
namespace {

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(bytes));
  BIO_free(bio);
  return text;
}

// A certificate that vouches for itself, for `name`, and its key, in PEM.
struct Certificate {
  explicit Certificate(const std::string& name) {
    EVP_PKEY* const pair = EVP_EC_gen("P-256");
    X509* const made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, pair);
    X509_NAME* const subject = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(made, subject);
    X509_sign(made, pair, EVP_sha256());
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, made);
    certificate = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, pair, nullptr, nullptr, 0, nullptr, nullptr);
    key = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, pair, EVP_aes_128_cbc(), nullptr, 0, nullptr, const_cast<char*>("secret"));
    locked_key = text_of(bio);
    X509_free(made);
    EVP_PKEY_free(pair);
  }

  std::string certificate;
  std::string key;
  std::string locked_key;
};

HttpPolicy with(const Certificate& certificate) {
  HttpPolicy policy;
  policy.tls = TlsIdentity::make(certificate.certificate, certificate.key).value();
  return policy;
}

// Speaks TLS on a socket of its own. Believes every certificate.
class TlsTestClient {
 public:
  explicit TlsTestClient(const std::string& address, int version_max = TLS1_3_VERSION) : plain_(address) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_, version_max);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, plain_.descriptor());
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>("\x02h2\x08http/1.1"), 12);
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsTestClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsTestClient(const TlsTestClient&) = delete;
  TlsTestClient& operator=(const TlsTestClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] std::string version() const { return SSL_get_version(ssl_); }
  [[nodiscard]] std::string cipher() const { return SSL_get_cipher_name(ssl_); }
  [[nodiscard]] std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned bytes = 0;
    SSL_get0_alpn_selected(ssl_, &name, &bytes);
    return {reinterpret_cast<const char*>(name), bytes};
  }
  [[nodiscard]] std::string subject() const {
    X509* const peer = SSL_get1_peer_certificate(ssl_);
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof name);
    X509_free(peer);
    return name;
  }
  [[nodiscard]] bool send(std::string_view bytes) const {
    std::size_t sent = 0;
    return bytes.empty() || SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent) == 1;
  }
  // All that has come when `text` has, or at the end.
  [[nodiscard]] std::string receive(std::string_view text) {
    char buffer[65536];
    std::size_t bytes = 0;
    while (received_.find(text) == std::string::npos && SSL_read_ex(ssl_, buffer, sizeof buffer, &bytes) == 1) {
      received_.append(buffer, bytes);
    }
    return std::exchange(received_, {});
  }
  // Whether the server has said that it will send no more.
  [[nodiscard]] bool told_the_end() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  TestClient plain_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
  std::string received_;
};

TEST(Tls, AnswersKeepTheConnection) {
  const Certificate certificate("one");
  const auto server = serve(echo, with(certificate));
  TlsTestClient client(server->addresses()[0]);
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.version(), "TLSv1.3");
  EXPECT_EQ(client.protocol(), "http/1.1");
  EXPECT_EQ(client.subject(), "one");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(get("/kept")));
    EXPECT_TRUE(client.receive("GET /kept ").starts_with("HTTP/1.1 200 "));
  }
  ASSERT_TRUE(client.send(get("/last", "Connection: close\r\n")));
  EXPECT_TRUE(client.receive("no such text").ends_with("GET /last "));
  EXPECT_TRUE(client.told_the_end());
}

TEST(Tls, LargeBodiesBothWays) {
  const auto server = serve(echo, with(Certificate("one")));
  TlsTestClient client(server->addresses()[0]);
  const std::string body(3'000'000, 'x');
  ASSERT_TRUE(client.send(post("/", body + "end")));
  const std::string answer = client.receive("end");
  EXPECT_TRUE(answer.ends_with(body + "end"));
}

TEST(Tls, OldVersionsAreRefused) {
  const auto server = serve(echo, with(Certificate("one")));
  EXPECT_FALSE(TlsTestClient(server->addresses()[0], TLS1_1_VERSION).connected());
  TlsTestClient older(server->addresses()[0], TLS1_2_VERSION);
  ASSERT_TRUE(older.connected());
  EXPECT_EQ(older.version(), "TLSv1.2");
  EXPECT_TRUE(older.cipher().starts_with("ECDHE-")) << older.cipher();
  ASSERT_TRUE(older.send(get("/old")));
  EXPECT_TRUE(older.receive("GET /old ").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(eventually([&] { return server->counters().refused(HttpRefusal::handshake) == 1; }));
}

TEST(Tls, PlainHttpIsToldSo) {
  const auto server = serve(echo, with(Certificate("one")));
  TestClient client(server->addresses()[0]);
  const TestAnswer answer = client.ask(get("/"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("tls_required"), std::string::npos);
  EXPECT_TRUE(client.sees_end());
  EXPECT_EQ(server->counters().refused(HttpRefusal::tls), 1U);
}

TEST(Tls, AUnixSocketStaysPlain) {
  const testing::TempDir dir;
  const std::string address = "unix:" + (dir / "plait.sock").string();
  const auto server = HttpServer::make({.listen = {address}, .policy = with(Certificate("one"))}, echo);
  ASSERT_TRUE(server);
  EXPECT_EQ(TestClient(address).ask(get("/u")).body, "GET /u ");
}

TEST(Tls, HandshakesHaveAnEnd) {
  HttpPolicy policy = with(Certificate("one"));
  policy.timeouts.header = 0.2;
  const auto server = serve(echo, policy);
  TestClient silent(server->addresses()[0]);
  TestClient half(server->addresses()[0]);
  ASSERT_TRUE(half.send(std::string_view("\x16\x03\x01\x02\x00\x01", 6)));
  TestClient noise(server->addresses()[0]);
  ASSERT_TRUE(noise.send("\x16" + std::string(2000, 'n')));
  EXPECT_TRUE(silent.sees_end());
  EXPECT_TRUE(half.sees_end());
  EXPECT_TRUE(noise.sees_end());
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 0; }));
  EXPECT_EQ(server->counters().refused(HttpRefusal::handshake), 2U) << "not the one that said nothing";
}

TEST(Tls, ClientsThatLeaveInTheMiddle) {
  HeldResponders held;
  const auto server = serve(held.handler(), with(Certificate("one")));
  {
    TlsTestClient client(server->addresses()[0]);
    ASSERT_TRUE(client.send(get("/")));
    const SseStream stream(held.take());
    stream.event("one");
    EXPECT_NE(client.receive("data: one\n\n"), "");
    ASSERT_TRUE(client.send(get("/again")));
    stream.event(std::string(10'000'000, 'x'));  // more than the socket takes
  }
  EXPECT_TRUE(eventually([&] { return server->counters().clients_gone == 1; }));
  EXPECT_EQ(server->counters().connections_open, 0U);
  TlsTestClient next(server->addresses()[0]);
  ASSERT_TRUE(next.send(get("/")));
  held.take().reply({.body = "well"});
  EXPECT_TRUE(next.receive("well").ends_with("well"));
}

TEST(Tls, ANewCertificateIsForNewConnections) {
  const auto server = serve(echo, with(Certificate("one")));
  TlsTestClient before(server->addresses()[0]);
  server->set_policy(with(Certificate("two")));
  TlsTestClient after(server->addresses()[0]);
  EXPECT_EQ(before.subject(), "one");
  EXPECT_EQ(after.subject(), "two");
  for (TlsTestClient* client : {&before, &after}) {
    ASSERT_TRUE(client->send(get("/")));
    EXPECT_TRUE(client->receive("GET / ").ends_with("GET / "));
  }
}

TEST(Tls, IdentitiesThatAreNone) {
  const Certificate one("one");
  const Certificate two("two");
  struct Case {
    std::string_view name;
    std::string certificate;
    std::string key;
  };
  const std::vector<Case> cases{
      {"nothing", "", ""},
      {"no key", one.certificate, ""},
      {"no certificate", "", one.key},
      {"the other way round", one.key, one.certificate},
      {"another's key", one.certificate, two.key},
      {"a key with a passphrase", one.certificate, one.locked_key},
      {"cut", one.certificate.substr(0, one.certificate.size() / 2), one.key},
      {"a damaged chain",
       one.certificate + two.certificate.substr(0, two.certificate.size() / 2) + "!\n-----END CERTIFICATE-----\n",
       one.key},
      {"noise", std::string(1000, '\0'), std::string(1000, '\xff')},
      {"endless", std::string(kPemBytesMax + 1, 'x'), one.key},
  };
  for (const Case& wrong : cases) {
    const auto identity = TlsIdentity::make(wrong.certificate, wrong.key);
    ASSERT_FALSE(identity) << wrong.name;
    EXPECT_EQ(identity.error().code, base::ErrorCode::invalid_data) << wrong.name;
    EXPECT_EQ(identity.error().message.find('\n'), std::string::npos);
  }
  EXPECT_TRUE(TlsIdentity::make(one.certificate + two.certificate, one.key)) << "a chain";
  EXPECT_TRUE(TlsIdentity::make("Words before.\n" + one.certificate, one.key));
}

}  // namespace
}  // namespace plait::serving
