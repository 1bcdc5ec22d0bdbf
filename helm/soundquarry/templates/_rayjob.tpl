{{/*
The run: what a RayJob, the template for `soundquarry submit` and a RayCronJob say alike. The only place where it is said.
*/}}

{{- define "soundquarry.rayJobLabels" -}}
{{ include "soundquarry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.job.workflow }}
soundquarry.dev/workflow: {{ . }}
soundquarry.dev/job: {{ include "soundquarry.jobHash" $ | quote }}
{{- end }}
{{- with .Values.kueue.queueName }}
kueue.x-k8s.io/queue-name: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "soundquarry.rayJobAnnotations" -}}
{{- if and .Values.kueue.queueName .Values.autoscaling.enabled -}}
kueue.x-k8s.io/elastic-job: "true"
{{- end -}}
{{- end -}}

{{- define "soundquarry.rayJobSpec" -}}
{{- $run := .Values.run -}}
entrypoint: soundquarry run /etc/soundquarry/job.yaml
submissionMode: {{ $run.submissionMode }}
backoffLimit: {{ int $run.backoffLimit }}
{{- with $run.activeDeadlineSeconds }}
activeDeadlineSeconds: {{ int64 . }}
{{- end }}
{{- with $run.preRunningDeadlineSeconds }}
preRunningDeadlineSeconds: {{ int64 . }}
{{- end }}
shutdownAfterJobFinishes: {{ $run.shutdownAfterJobFinishes }}
{{- with $run.ttlSecondsAfterFinished }}
ttlSecondsAfterFinished: {{ int64 . }}
{{- end }}
{{- if $run.suspend }}
suspend: true
{{- end }}
{{- if eq $run.submissionMode "K8sJobMode" }}
{{- /* Each time the stream of the log breaks costs a submitter, whose successor follows the same run; KubeRay's limit is 2. */}}
submitterConfig:
  backoffLimit: 20
submitterPodTemplate: {{- include "soundquarry.submitterPod" . | nindent 2 }}
{{- end }}
rayClusterSpec: {{- include "soundquarry.rayCluster" . | nindent 2 }}
{{- end -}}

{{- define "soundquarry.rayCluster" -}}
rayVersion: {{ .Values.ray.version | quote }}
authOptions:
  mode: {{ .Values.ray.auth }}
{{- with .Values.autoscaling }}
{{- if .enabled }}
enableInTreeAutoscaling: true
autoscalerOptions:
  version: v2
  upscalingMode: {{ .upscalingMode }}
  idleTimeoutSeconds: {{ int .idleTimeoutSeconds }}
  resources: {{- toYaml .resources | nindent 4 }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  securityContext: {{- include "soundquarry.containerSecurity" $ | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
{{- end }}
{{- end }}
headGroupSpec:
  rayStartParams: {{- toYaml .Values.ray.rayStartParams | nindent 4 }}
  template:
    {{- include "soundquarry.rayPod" (dict "root" . "name" "ray-head" "component" "head" "values" .Values.head) | nindent 4 }}
workerGroupSpecs:
  {{- if not (or .Values.workers.cpu.enabled .Values.workers.gpu.enabled) }} []{{ end }}
  {{- range $name, $group := .Values.workers }}
  {{- if $group.enabled }}
  - groupName: {{ $name }}
    replicas: {{ int $group.replicas }}
    {{- if $.Values.autoscaling.enabled }}
    minReplicas: {{ int $group.minReplicas }}
    maxReplicas: {{ int $group.maxReplicas }}
    {{- with $group.idleTimeoutSeconds }}
    idleTimeoutSeconds: {{ int . }}
    {{- end }}
    {{- else }}
    minReplicas: {{ int $group.replicas }}
    maxReplicas: {{ int $group.replicas }}
    {{- end }}
    rayStartParams: {}
    template:
      {{- include "soundquarry.rayPod" (dict "root" $ "name" "ray-worker" "component" "worker" "values" $group) | nindent 6 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* The pod that hands the command to the cluster and prints its log. KubeRay gives it command, address and token. */}}
{{- define "soundquarry.submitterPod" -}}
metadata:
  labels: {{- include "soundquarry.podLabels" (dict "root" . "component" "submitter") | nindent 4 }}
  {{- with .Values.smallPods.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "soundquarry.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  restartPolicy: Never
  {{- include "soundquarry.podBasics" . | nindent 2 }}
  {{- with include "soundquarry.scheduling" .Values.smallPods | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: ray-job-submitter
      {{- include "soundquarry.containerBasics" . | nindent 6 }}
      resources:
        requests: {cpu: 500m, memory: 512Mi}
        limits: {memory: 1Gi}
      env:
        - {name: RAY_AUTH_MODE, value: {{ .Values.ray.auth }}}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 1Gi
{{- end -}}

{{/* The files of /etc/soundquarry, as data of a ConfigMap. */}}
{{- define "soundquarry.jobFiles" -}}
job.yaml: |
  {{- toYaml .Values.job | nindent 2 }}
{{- with .Values.catalog }}
catalog.yaml: |
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.recipe }}
recipe.yaml: |
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.files }}
{{ toYaml . }}
{{- end }}
{{- end -}}
