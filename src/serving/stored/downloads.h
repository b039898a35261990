// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serving/http/responder.h"
#include "store/blobs.h"

namespace plait::serving {

/// Sends contents that may be larger than memory, each as fast as its client reads. One thread for all of them: a
/// client that does not read holds up nobody, and the server drops it. Threads: any.
class Downloads {
 public:
  /// The blobs must outlive it.
  explicit Downloads(const store::Blobs& blobs);
  /// Cuts off what is on its way.
  ~Downloads();
  Downloads(const Downloads&) = delete;
  Downloads& operator=(const Downloads&) = delete;

  /// Answers with the content, or refuses: 404 if it is not there, 503 if there are too many at once.
  void send(std::string name, const Responder& responder);

 private:
  struct Download {
    std::string name;
    Responder responder;
    base::Bytes offset = 0;
  };
  enum class Progress { some, none, over };
  void run();
  Progress advance(Download& download, std::vector<std::byte>& piece) const;

  const store::Blobs& blobs_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Download> arrived_;  // under mutex_
  std::size_t count_ = 0;          // under mutex_
  bool closing_ = false;           // under mutex_
  std::jthread thread_;
};

}  // namespace plait::serving
