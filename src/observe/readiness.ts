/** One line of `/readyz?verbose`. */
export interface ReadinessCheck {
  readonly name: string;
  readonly ready: boolean;
  readonly detail: string;
}
