// SPDX-License-Identifier: Apache-2.0
#include "hub/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "base/check.h"
#include "os/growing_file.h"

namespace plait::hub {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  const bool started = state_->context != nullptr && EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1;
  PLAIT_CHECK(started);
}

Sha256::~Sha256() = default;

void Sha256::add(std::span<const std::byte> bytes) {
  PLAIT_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  PLAIT_CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), &length) == 1);
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

base::Result<std::string> sha256_of_file(const std::filesystem::path& path,
                                         const std::function<bool(base::Bytes)>& on_bytes) {
  Sha256 digest;
  base::Bytes done = 0;
  PLAIT_TRY_VOID(os::read_in_pieces(path, [&](std::span<const std::byte> piece) -> base::Result<void> {
    digest.add(piece);
    done += piece.size();
    if (!on_bytes || on_bytes(done)) return {};
    return base::fail(base::ErrorCode::interrupted, "checking " + path.string() + " was interrupted");
  }));
  return digest.hex();
}

}  // namespace plait::hub
