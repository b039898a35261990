# SPDX-License-Identifier: Apache-2.0
# What strategies say to the model becomes a source of the reasoning area.
file(GLOB prompt_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/reasoning/prompts/*.txt)
set(prompt_source ${PROJECT_BINARY_DIR}/prompt_files.cc)
add_custom_command(
  OUTPUT ${prompt_source}
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/embed_texts.py ${PROJECT_SOURCE_DIR}/src/reasoning/prompts
    ${prompt_source}
  DEPENDS ${prompt_files} ${PROJECT_SOURCE_DIR}/tools/embed_texts.py ${PROJECT_SOURCE_DIR}/tools/embed_page.py
  VERBATIM)
target_sources(plait_reasoning PRIVATE ${prompt_source})
