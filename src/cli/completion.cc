// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace plait::cli {
namespace {

using Words = std::vector<std::string>;

Words option_names(const CLI::App& app) {
  Words names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

bool wants_model(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent != nullptr && parent->get_name() == "model" && app.get_name() != "list";
}

void collect(const CLI::App& app, const std::string& outer, Words options, std::vector<CompletionNode>& nodes) {
  CompletionNode node;
  node.path = outer.empty() ? app.get_name() : outer + " " + app.get_name();
  for (std::string& name : option_names(app)) {
    if (std::ranges::find(options, name) == options.end()) options.push_back(std::move(name));
  }
  node.options = options;
  node.takes_model = wants_model(app);
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* verb : subcommands) {
    if (!verb->get_group().empty()) node.verbs.emplace_back(verb->get_name(), verb->get_description());
  }
  const std::string path = node.path;
  nodes.push_back(std::move(node));
  for (const CLI::App* verb : subcommands) collect(*verb, path, options, nodes);
}

std::string verbs_and_options(const CompletionNode& node) {
  std::string words;
  for (const auto& [verb, about] : node.verbs) words += verb + " ";
  return fmt::format("{}{}", words, fmt::join(node.options, " "));
}

// bash and zsh: which of the words so far are verbs. `variable` holds the path of verbs.
std::string path_cases(const std::vector<CompletionNode>& nodes, std::string_view variable) {
  std::string cases;
  for (const CompletionNode& node : nodes) {
    if (node.path.contains(' ')) cases += fmt::format("      '{}') {}=$next ;;\n", node.path, variable);
  }
  return cases;
}

// bash and zsh: what may come next, to be put into `variable`.
std::string word_cases(const std::vector<CompletionNode>& nodes, std::string_view variable) {
  std::string cases;
  for (const CompletionNode& node : nodes) {
    const std::string models = node.takes_model ? "; models=1" : "";
    cases += fmt::format("    '{}') {}='{}'{} ;;\n", node.path, variable, verbs_and_options(node), models);
  }
  return cases;
}

constexpr const char* kBash = R"sh(# bash completion for plait; use it with:  source <(plait completion bash)
_plait() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} path=plait next words= models= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="$path ${COMP_WORDS[i]}"
    case $next in
@PATHS@    esac
  done
  case $path in
@WORDS@  esac
  case $previous in -m | --model) words= models=1 ;; esac
  if [[ -n $models ]]; then words+=" $("${COMP_WORDS[0]}" model list 2>/dev/null | cut -d' ' -f1 | tr '\n' ' ')"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _plait plait
)sh";

constexpr const char* kZsh = R"sh(#compdef plait
# zsh completion for plait; use it with:  source <(plait completion zsh)
_plait() {
  local previous=${words[CURRENT - 1]} place=plait next offers= models= i
  for ((i = 2; i < CURRENT; i++)); do
    next="$place ${words[i]}"
    case $next in
@PATHS@    esac
  done
  case $place in
@WORDS@  esac
  case $previous in -m | --model) offers= models=1 ;; esac
  if [[ -n $models ]]; then offers+=" $(plait model list 2>/dev/null | cut -d' ' -f1 | tr '\n' ' ')"; fi
  compadd -- ${=offers} || _files
}
compdef _plait plait
)sh";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string fish_quoted(std::string_view text) {
  return "'" + replaced(replaced(std::string(text), "\\", "\\\\"), "'", "\\'") + "'";
}

// fish asks for each word separately whether it fits: all verbs of the path must have been seen, and none of the next
// level.
std::string fish_condition(const CompletionNode& node) {
  std::string condition;
  std::size_t start = std::string_view("plait").size();
  while (start < node.path.size()) {
    const std::size_t end = std::min(node.path.find(' ', start + 1), node.path.size());
    condition += fmt::format("__fish_seen_subcommand_from {}; and ", node.path.substr(start + 1, end - start - 1));
    start = end;
  }
  std::string next;
  for (const auto& [verb, about] : node.verbs) next += " " + verb;
  return condition + (next.empty() ? "true" : "not __fish_seen_subcommand_from" + next);
}

std::string fish_script(const std::vector<CompletionNode>& nodes) {
  std::string script = "# fish completion for plait; use it with:  plait completion fish | source\n";
  const std::string models = "(plait model list 2>/dev/null | string split -f1 ' ')";
  for (const CompletionNode& node : nodes) {
    const std::string condition = fish_quoted(fish_condition(node));
    for (const auto& [verb, about] : node.verbs) {
      script += fmt::format("complete -c plait -f -n {} -a {} -d {}\n", condition, verb, fish_quoted(about));
    }
    for (const std::string& option : node.options) {
      const bool is_long = option.starts_with("--");
      const std::string_view name = std::string_view(option).substr(is_long ? 2 : 1);
      script += fmt::format("complete -c plait -n {} -{} {}\n", condition, is_long ? "l" : "s", name);
    }
    if (node.takes_model) script += fmt::format("complete -c plait -f -n {} -a \"{}\"\n", condition, models);
  }
  return script;
}

}  // namespace

std::vector<CompletionNode> completion_nodes(const CLI::App& app) {
  std::vector<CompletionNode> nodes;
  collect(app, "", {}, nodes);
  return nodes;
}

std::string completion_script(const CLI::App& app, std::string_view shell) {
  const auto nodes = completion_nodes(app);
  if (shell == "fish") return fish_script(nodes);
  // In zsh `path` and `words` are the shell's own.
  const bool zsh = shell == "zsh";
  const std::string script = replaced(zsh ? kZsh : kBash, "@PATHS@", path_cases(nodes, zsh ? "place" : "path"));
  return replaced(script, "@WORDS@", word_cases(nodes, zsh ? "offers" : "words"));
}

void add_completion(CLI::App& app, Session& session) {
  CLI::App* verb = app.add_subcommand("completion", "A script that completes plait's commands in your shell");
  verb->require_subcommand(1);
  verb->footer("Example: source <(plait completion bash)");
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    CLI::App* one = verb->add_subcommand(shell, "For " + shell);
    one->callback([&app, &session, shell] {
      session.action = [&app, shell]() -> base::Result<void> {
        print(completion_script(app, shell));
        return {};
      };
    });
  }
}

}  // namespace plait::cli
