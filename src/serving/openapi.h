// SPDX-License-Identifier: Apache-2.0
//
// The description of the server's API (OpenAPI 3.1) at `/openapi.json`. tools/embed_openapi.py makes it at build time
// from the folder openapi/ beside this file, which has a file for each area.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serving/http/router.h"

namespace plait::serving {

/// The document as JSON. Defined in a file that the build makes. Lives as long as the program.
[[nodiscard]] std::string_view openapi_file();

/// What routes and paths of the document lack of each other: "POST /v1/x is not described", "GET /y has no route".
/// `{name...}` in a route is `{name}` in the document. A path with `x-plait-optional` may be without routes.
[[nodiscard]] std::vector<std::string> openapi_gaps(const std::vector<HttpRoute>& routes);

/// Adds GET `/openapi.json`. Call it last: what it serves is the document without optional paths that the router lacks,
/// and under `x-plait-undescribed` the openapi_gaps() of the router as it is then, which should be none.
void add_openapi(HttpRouter& router);

}  // namespace plait::serving
