// SPDX-License-Identifier: Apache-2.0
//
// The chat page at `/`: one HTML document with its script and style inside, which asks nobody but its own server.
// tools/embed_page.py makes it at build time from the folder page/ beside this file.
#pragma once

#include <string_view>

#include "serving/http/router.h"

namespace plait::serving {

/// All of it lives as long as the program.
struct PageFile {
  std::string_view html;
  std::string_view etag;      ///< With its quotes; it follows from the bytes.
  std::string_view security;  ///< The content security policy: only the scripts and the style of these bytes run.
};

/// Defined in a file that the build makes.
[[nodiscard]] PageFile page_file();

/// Adds GET `/`. A client that names the current ETag gets 304.
void add_page(HttpRouter& router);

}  // namespace plait::serving
