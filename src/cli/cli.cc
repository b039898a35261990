// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <CLI/CLI.hpp>

namespace plait::cli {

int run(int argc, char** argv) {
  CLI::App app("Many strands of reasoning at once", "plait");
  app.set_version_flag("--version", "plait 0.1.0");
  CLI11_PARSE(app, argc, argv);
  return 0;
}

}  // namespace plait::cli
