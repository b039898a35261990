// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "os/process.h"
#include "testing/temp_dir.h"

namespace plait::cli {
namespace {

// A tree that stands for any: two levels, own options, a hidden option.
void grow(CLI::App& app) {
  app.add_flag("--json");
  app.add_flag("--secret")->group("");
  CLI::App* ask = app.add_subcommand("ask", "Ask");
  ask->add_option("-m,--model", "Model");
  CLI::App* model = app.add_subcommand("model", "Models");
  model->add_subcommand("list", "List");
  model->add_subcommand("pull", "Fetch it, don't ask");
}

class Completion : public ::testing::Test {
 protected:
  testing::TempDir dir_;
  CLI::App app_{"Test", "plait"};

  Completion() { grow(app_); }

  // What bash itself offers after these words; the last one is being typed.
  std::set<std::string> bash_offers(const std::string& words) {
    std::ofstream(dir_ / "script") << completion_script(app_, "bash");
    const std::string test =
        "plait() { printf 'tiny-model  1 KiB  absent\\nother-model  2 KiB  present\\n'; }\n"
        "source ./script; COMP_WORDS=(" +
        words +
        "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _plait; "
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    const auto result = os::run_process({.arguments = {"bash", "--norc", "-c", test}, .folder = dir_.path()});
    EXPECT_TRUE(result);
    EXPECT_EQ(result->errors, "");
    std::set<std::string> offers;
    std::istringstream lines(result->output);
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) offers.insert(line);
    }
    return offers;
  }
};

TEST_F(Completion, NodesMirrorTheTree) {
  const auto nodes = completion_nodes(app_);
  std::set<std::string> paths;
  for (const CompletionNode& node : nodes) paths.insert(node.path);
  EXPECT_EQ(paths,
            (std::set<std::string>{"plait", "plait ask", "plait model", "plait model list", "plait model pull"}));
}

TEST_F(Completion, BashOffersWhatFits) {
  using Words = std::set<std::string>;
  EXPECT_EQ(bash_offers("plait ''"), (Words{"ask", "model", "--help", "-h", "--json"}));
  EXPECT_EQ(bash_offers("plait mo"), Words{"model"});
  EXPECT_EQ(bash_offers("plait model p"), Words{"pull"});
  EXPECT_EQ(bash_offers("plait --json model l"), Words{"list"});
  EXPECT_EQ(bash_offers("plait model pull t"), Words{"tiny-model"});
  EXPECT_EQ(bash_offers("plait ask --mo"), Words{"--model"});
  EXPECT_EQ(bash_offers("plait ask --model ''"), (Words{"tiny-model", "other-model"}));
  EXPECT_EQ(bash_offers("plait ask --s"), Words{});
}

TEST_F(Completion, OtherShellsAcceptTheirScripts) {
  for (const std::string shell : {"zsh", "fish"}) {
    std::ofstream(dir_ / shell) << completion_script(app_, shell);
    const auto result = os::run_process({.arguments = {shell, "-n", (dir_ / shell).string()}});
    if (!result) continue;  // the shell is not installed
    EXPECT_EQ(result->exit_code, 0) << result->errors;
  }
  EXPECT_NE(completion_script(app_, "fish").find("-a pull"), std::string::npos);
  EXPECT_NE(completion_script(app_, "zsh").find("'plait model pull'"), std::string::npos);
}

}  // namespace
}  // namespace plait::cli
